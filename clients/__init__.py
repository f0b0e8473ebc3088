"""The SDK of ragq: ``from clients import Ragq`` in the checkout, ``from ragq import Ragq`` when installed alone."""

from .aclient import AsyncClient
from .aio import AsyncRagq
from .answers import Answer, Citation, Decision, Delta, Rewritten, Round, Sources
from .client import Client, ServiceStatus
from .config import Config
from .errors import RagqError
from .index import Chunk, Chunking, Collection, Document, Hit, Job, Text
from .llm import Message, Ranked
from .mesh import Events, Ragq
from .overview import MeshStatus
from .trace import Span, Trace, traced
from .waterfall import waterfall
from .wire import Method

__all__ = [
    "Answer",
    "AsyncClient",
    "AsyncRagq",
    "Chunk",
    "Chunking",
    "Citation",
    "Client",
    "Collection",
    "Config",
    "Decision",
    "Delta",
    "Document",
    "Events",
    "Hit",
    "Job",
    "MeshStatus",
    "Message",
    "Method",
    "Ragq",
    "RagqError",
    "Ranked",
    "Rewritten",
    "Round",
    "ServiceStatus",
    "Sources",
    "Span",
    "Text",
    "Trace",
    "traced",
    "waterfall",
]
