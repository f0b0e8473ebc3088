"""The model shelf: weights on this machine, pulled, checked and described."""

from .arrival import ChatDtype
from .card import Card
from .fetch import OnProgress, Progress
from .known import PROFILES, PULLABLE
from .manifest import Pullable
from .needs import Needs, needs
from .shelf import Shelf, Shelved

__all__ = [
    "PROFILES",
    "PULLABLE",
    "Card",
    "ChatDtype",
    "Needs",
    "OnProgress",
    "Progress",
    "Pullable",
    "Shelf",
    "Shelved",
    "needs",
]
