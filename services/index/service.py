"""IndexService: collections, documents, ingest, search and chats, over one data directory."""

from __future__ import annotations

from typing import ClassVar

from clients import index as contract
from clients.client import Client, connect
from clients.config import Config
from clients.llm import LLMClient
from services.service import Service

from . import sample
from .embedding import LLM
from .handlers.adding import Given
from .handlers.calibration import CalibrationHandlers
from .handlers.chats import ChatHandlers
from .handlers.checkup import CheckupHandlers
from .handlers.documents import DocumentHandlers
from .handlers.editing import EditingHandlers
from .handlers.pages import PageHandlers
from .handlers.reindexing import ReindexHandlers
from .handlers.testsets import TestSetHandlers
from .handlers.transfer import TransferHandlers
from .handlers.web import WebHandlers
from .parts import open_parts


class IndexService(
    DocumentHandlers,
    CalibrationHandlers,
    ChatHandlers,
    CheckupHandlers,
    EditingHandlers,
    TestSetHandlers,
    ReindexHandlers,
    TransferHandlers,
    PageHandlers,
    WebHandlers,
    Service,
):
    """Serves every method of `clients.index`.

    Args:
        config: where the data lives, and the limits.
        llm: embeds and reranks; None connects to the proxies of the LLM service.
    """

    name: ClassVar[str] = "index"
    slots: ClassVar[int] = 16

    def __init__(self, config: Config, llm: LLM | None = None) -> None:
        super().__init__(config)
        self._llm = llm
        self._clients: list[Client] = []

    def start(self) -> None:
        """Own the data directory, open it, mend what a crash left, and go on ingesting."""
        self._parts = open_parts(self.config, *self._llms())
        if self.config.index.sample and self._catalog.is_new():
            self._add_sample()

    def _llms(self) -> tuple[LLM, LLM]:
        """For those who search, and for what is added."""
        if self._llm is not None:
            return self._llm, self._llm
        self._clients = [connect(self.config, "llm", bulk=bulk, use="worker") for bulk in (False, True)]
        searching, adding = map(LLMClient, self._clients)
        return searching, adding

    def _add_sample(self) -> None:
        chunking = contract.Chunking(self.config.index.chunk_size, self.config.index.overlap)
        self._catalog.create(sample.COLLECTION, sample.TITLE, exist_ok=True)
        self._add(sample.COLLECTION, chunking, [Given(path.name, path.read_bytes()) for path in sample.files()])

    def stop(self) -> None:
        """Let go of the data directory."""
        self._parts.close()
        for client in self._clients:
            client.close()

    def note(self) -> str:
        """What there is, for the status page."""
        collections = self._catalog.collections()
        num_chunks = sum(c.num_chunks for c in collections)
        return f"{_count(len(collections), 'collection')}, {_count(num_chunks, 'chunk')}, {self.config.index.store}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
