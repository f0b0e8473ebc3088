"""Stands for the vendor's package of this name, which no index has: put ``tests/doubles`` on PYTHONPATH."""
