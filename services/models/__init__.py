"""The model shelf: weights on this machine, pulled, checked and described."""

from .card import Card
from .fetch import OnProgress, Progress
from .known import PROFILES, PULLABLE
from .manifest import Pullable
from .shelf import Shelf, Shelved

__all__ = ["PROFILES", "PULLABLE", "Card", "OnProgress", "Progress", "Pullable", "Shelf", "Shelved"]
