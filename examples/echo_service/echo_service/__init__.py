"""A service for a ragq mesh that says back what it hears."""

from .contract import SAY, SPELL, Said, Say, Spell, Spelled, Word

__all__ = ["SAY", "SPELL", "Said", "Say", "Spell", "Spelled", "Word"]
