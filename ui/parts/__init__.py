"""Pieces of pages that several pages show."""
