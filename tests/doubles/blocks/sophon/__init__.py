"""The vendor's package with a model of an older layout in it, computed by numpy."""
