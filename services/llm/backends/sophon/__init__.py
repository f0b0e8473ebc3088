"""Compiled models on SOPHON devices, each device in a process of its own."""
