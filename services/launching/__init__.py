"""The launcher: what service.py needs to start, show and stop a mesh."""
