"""The SDK of ragq: ``from clients import Ragq`` in the checkout, ``from ragq import Ragq`` when installed alone.

What is named here is imported when somebody asks for it: a proxy needs no answers, a script no asyncio.
"""

import importlib
import typing

from .waterfall import waterfall  # now: once its module is imported, the name would mean the module

if typing.TYPE_CHECKING:
    from .aclient import AsyncClient
    from .aio import AsyncRagq
    from .answers import Answer, Citation, Decision, Delta, Rewritten, Round, Sources
    from .client import Client
    from .config import Config
    from .documents import Chunk, Collection, Document
    from .errors import RagqError
    from .generation import Message
    from .index import Job
    from .ingest import Chunking, Text
    from .mesh import Events, Ragq
    from .overview import MeshStatus
    from .parts import Progress
    from .scoring import Ranked, Scores
    from .searching import Hit
    from .status import ServiceStatus
    from .trace import Span, Trace, traced
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
    "Progress",
    "Ragq",
    "RagqError",
    "Ranked",
    "Rewritten",
    "Round",
    "Scores",
    "ServiceStatus",
    "Sources",
    "Span",
    "Text",
    "Trace",
    "traced",
    "waterfall",
]
_HOMES = {
    "aclient": ["AsyncClient"],
    "aio": ["AsyncRagq"],
    "answers": ["Answer", "Citation", "Decision", "Delta", "Rewritten", "Round", "Sources"],
    "client": ["Client"],
    "config": ["Config"],
    "documents": ["Chunk", "Collection", "Document"],
    "errors": ["RagqError"],
    "generation": ["Message"],
    "index": ["Job"],
    "ingest": ["Chunking", "Text"],
    "mesh": ["Events", "Ragq"],
    "overview": ["MeshStatus"],
    "parts": ["Progress"],
    "scoring": ["Ranked", "Scores"],
    "searching": ["Hit"],
    "status": ["ServiceStatus"],
    "trace": ["Span", "Trace", "traced"],
    "wire": ["Method"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if not typing.TYPE_CHECKING:  # a type checker knows the names from above, and would take any other for granted

    def __getattr__(name: str) -> object:
        """The public name, from the module where it lives."""
        if name not in _HOME_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(importlib.import_module(f".{_HOME_OF[name]}", __name__), name)
        globals()[name] = found
        return found
