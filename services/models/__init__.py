"""The model shelf: weights on this machine, pulled, checked and described."""

from .arrival import ChatDtype
from .card import Card
from .fetch import OnProgress, Progress
from .hub import HubReader
from .known import HUB_MODELS, PROFILES, PULLABLE, HubModel
from .manifest import Pullable
from .needs import Needs, needs
from .repository import Offer, look
from .repository import pull as pull_offer
from .shelf import Shelf, Shelved

__all__ = [
    "HUB_MODELS",
    "PROFILES",
    "PULLABLE",
    "Card",
    "ChatDtype",
    "HubModel",
    "HubReader",
    "Needs",
    "Offer",
    "OnProgress",
    "Progress",
    "Pullable",
    "Shelf",
    "Shelved",
    "look",
    "needs",
    "pull_offer",
]
