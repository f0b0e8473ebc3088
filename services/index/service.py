"""IndexService: collections, documents, ingest, search and chats, over one data directory."""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import Any, ClassVar

from clients import calibration, pages, searches, testsets, watching
from clients import index as contract
from clients.client import Client, connect
from clients.config import Config
from clients.greetings import LEGACY
from clients.llm import LLMClient
from clients.wire import Method
from services.service import Handler, Service

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
from .handlers.searches import SearchHistoryHandlers
from .handlers.testsets import TestSetHandlers
from .handlers.transfer import TransferHandlers
from .handlers.watching import WatchHandlers
from .handlers.web import WebHandlers
from .leading import LOOK_S, Succession
from .parts import Parts, follow_parts, lock_of, open_parts
from .schema import OlderSchema

log = logging.getLogger(__name__)
FORMER_S = 120.0
# A search waits for the interpreter after each row that it reads, and with Python's 5 ms for as long as that each time.
SWITCH_S = 0.0005
# What a worker serves that does not own the data directory.
READING = (
    contract.COLLECTIONS, contract.DOCUMENTS, contract.DOCUMENT, contract.CHUNKS, contract.PASSAGE, contract.SEARCH,
    contract.CHAT, contract.CHATS, contract.JOB, contract.JOBS, calibration.CALIBRATION, pages.PAGE_IMAGE,
    searches.PAST_SEARCHES, watching.WATCHES, testsets.TESTSETS, testsets.QUESTIONS, testsets.RUNS,
)  # fmt: skip


class IndexService(
    DocumentHandlers,
    CalibrationHandlers,
    ChatHandlers,
    CheckupHandlers,
    EditingHandlers,
    TestSetHandlers,
    ReindexHandlers,
    SearchHistoryHandlers,
    TransferHandlers,
    PageHandlers,
    WatchHandlers,
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
        self._lock = lock_of(config)
        self._succession: Succession | None = None
        self._former: list[Parts] = []

    @property
    def leads(self) -> bool:
        """Whether this worker owns the data directory; one that does not only reads."""
        return self._succession is None

    def start(self) -> None:
        """Own the data directory, open it, mend what a crash left, and go on ingesting; or follow the one that does.

        Raises:
            Locked: another process owns the directory, and its store is not one that several may ask.
        """
        sys.setswitchinterval(SWITCH_S)
        self._searching, self._adding = self._llms()
        if self.config.index.store != "chroma-server":
            self._lock.acquire()
            self._lead()
        elif not self._follow():
            self._lead()

    def _follow(self) -> bool:
        """Wait until the owner has opened the records, and follow it; False when this process has become the owner."""
        waits = False
        while not self._lock.try_acquire():
            try:
                self._parts = follow_parts(self.config, self._searching)
            except OlderSchema as error:
                if not waits:
                    log.info("pid %d leads and has to open the records first: %s", self._lock.owner(), error.message)
                waits = True
                time.sleep(LOOK_S)
                continue
            self._succession = Succession(self._lock, self._succeed)
            self._succession.start()
            return True
        return False

    def _lead(self) -> None:
        """Open everything; the lock is ours."""
        try:
            self._parts = open_parts(self.config, self._searching, self._adding, self._lock)
        except BaseException:
            self._lock.release()
            raise
        self._searches.trim()
        if self.config.index.sample and self._catalog.is_new():
            self._add_sample()

    def _succeed(self) -> None:
        """Take the place of a leader that is gone; searches go on meanwhile with what they have."""
        log.warning("this worker takes the lead")
        former = self._parts
        self._lead()
        self._succession = None
        self.renewed()
        self._former.append(former)
        timer = threading.Timer(FORMER_S, self._let_former_go)
        timer.daemon = True
        timer.start()

    def _let_former_go(self) -> None:
        """Close what searches used before this worker led; none of them takes that long."""
        while self._former:
            self._former.pop().close()

    def elsewhere(self) -> list[str]:
        """What only the leader may do, where this is not the leader."""
        if self.leads:
            return []
        return [LEGACY, *(method.name for method in contract.METHODS if method not in READING)]

    def handlers(self) -> dict[Method[Any, Any, Any], Handler]:
        """Everything, or what only reads."""
        found = super().handlers()
        return found if self.leads else {method: found[method] for method in READING}

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
        succession = self._succession
        if succession is not None:
            succession.stop()
        self._parts.close()
        self._let_former_go()
        for client in self._clients:
            client.close()

    def note(self) -> str:
        """What there is, for the status page."""
        collections = self._catalog.collections()
        num_chunks = sum(c.num_chunks for c in collections)
        said = f"{_count(len(collections), 'collection')}, {_count(num_chunks, 'chunk')}, {self.config.index.store}"
        if self.config.index.store != "chroma-server":
            return said
        return f"leads; {said}" if self.leads else f"follows pid {self._lock.owner()}; {said}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
