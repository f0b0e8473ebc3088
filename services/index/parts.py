"""What an Index service is made of, opened over one data directory and closed again in order."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from clients.config import Config

from .catalog import Catalog
from .checkup import Examiner
from .editing import Editor
from .embedding import LLM, Embedding
from .following import Follower
from .ingest import Ingest
from .intake import Intake
from .keeping import Keeper
from .keyword import KeywordIndexes
from .labour import Rest
from .lock import DirectoryLock
from .originals import Originals, Uploads
from .packing import Packer
from .parsing import Parser
from .pictures import Pictures
from .preparing import Preparer
from .publishing import Publisher
from .reindexing import Reindexer
from .scanning import Scanner
from .scans import Scans
from .schema import Database
from .search import Searcher
from .sharing import SharedKeywordIndexes
from .stores.base import VectorStore
from .stores.portions import Precedence
from .stores.server import ChromaServer
from .storing import open_store
from .takeover import Takeover
from .unpacking import Unpacker
from .watches import WatchRecords
from .web.gathering import Gatherer
from .web.opening import Opener
from .web.taking import Taking

DRAWING_S = 20.0
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """The open parts.

    One process owns the data directory and lets them work; in another they only read, and nothing works by itself.
    """

    lock: DirectoryLock
    database: Database
    catalog: Catalog
    originals: Originals
    uploads: Uploads
    store: VectorStore
    precedence: Precedence
    keywords: KeywordIndexes
    publisher: Publisher
    reindexer: Reindexer
    searcher: Searcher
    examiner: Examiner
    editor: Editor
    packer: Packer
    unpacker: Unpacker
    parser: Parser
    pictures: Pictures
    ingest: Ingest
    opener: Opener
    gatherer: Gatherer
    follower: Follower
    keeper: Keeper | None

    def start(self) -> None:
        """Go on with what a process before this one left."""
        if self.keeper is not None:
            self.keeper.start()
        self.ingest.start()
        self.gatherer.start()
        self.follower.start()

    def close(self) -> None:
        """End the ingest after its step, and close everything."""
        self.follower.stop()
        self.gatherer.stop()
        self.ingest.stop()
        if self.keeper is not None:
            self.keeper.stop()
        self.parser.close()
        self.pictures.close()
        self.keywords.close()
        self.store.close()
        self.database.close()
        self.lock.release()


@dataclass(frozen=True, slots=True)
class _Stores:
    """Where vectors and words are.

    Attributes:
        server: of the vectors, when this process keeps it filled.
    """

    vectors: VectorStore
    precedence: Precedence
    keywords: KeywordIndexes
    server: ChromaServer | None = None


def open_parts(config: Config, llm: LLM, bulk: LLM | None = None, lock: DirectoryLock | None = None) -> Parts:
    """Own the data directory, open it, mend what a crash left, and go on ingesting.

    Args:
        config: where the data lives, and the limits.
        llm: embeds and reranks for those who search.
        bulk: embeds what is added, behind those who search; None means ``llm``.
        lock: of the data directory, when this process has it already.

    Raises:
        Locked: another process owns it.
        BackendError: the records or the vectors cannot be opened.
    """
    with ExitStack() as undo:
        if lock is None:
            lock = lock_of(config)
            lock.acquire()
            undo.callback(lock.release)
        database = Database(records_of(config))
        undo.callback(database.close)
        catalog = Catalog(database, time.time)
        store, keeps = open_store(config, catalog, precedence := Precedence())
        undo.callback(store.close)
        keywords = KeywordIndexes(keywords_of(config))
        stores = _Stores(store, precedence, keywords, keeps)
        parts = _Assembly(config, (llm, bulk or llm), catalog, stores).parts(lock)
        parts.uploads.sweep(time.time())
        _mend(parts)
        undo.pop_all()
    parts.start()
    return parts


def follow_parts(config: Config, llm: LLM) -> Parts:
    """Open a data directory that another process owns, to read it.

    Raises:
        OlderSchema: its owner has not brought the records to the present schema yet.
        BackendError: the records cannot be opened.
    """
    with ExitStack() as undo:
        database = Database(records_of(config), is_owner=False)
        undo.callback(database.close)
        catalog = Catalog(database, time.time)
        store, _ = open_store(config, catalog, precedence := Precedence())
        undo.callback(store.close)
        keywords = SharedKeywordIndexes(keywords_of(config), catalog)
        stores = _Stores(store, precedence, keywords)
        parts = _Assembly(config, (llm, llm), catalog, stores).parts(lock_of(config))
        undo.pop_all()
    return parts


def lock_of(config: Config) -> DirectoryLock:
    """What tells who owns the data directory."""
    return DirectoryLock(config.home / "index")


def records_of(config: Config) -> Path:
    """Where the records live."""
    path = config.index.sqlite_db_path
    return Path(path).expanduser().resolve() if path else config.home / "index" / "records.sqlite"


def keywords_of(config: Config) -> Path:
    """Where the keyword indexes live."""
    return config.home / "index" / "keyword"


class _Assembly:
    """Makes the parts, each of those that it needs."""

    def __init__(self, config: Config, llms: tuple[LLM, LLM], catalog: Catalog, stores: _Stores) -> None:
        self._config = config
        self._llm, self._bulk = llms
        self._catalog = catalog
        self._stores = stores
        self._max_bytes = config.index.max_file_mb << 20
        self._originals = Originals(catalog.database, config.home / "files")
        self._publisher = Publisher(catalog, stores.vectors, stores.keywords)
        self._intake = Intake(catalog, self._originals, config.index, self._max_bytes)
        self._parser = Parser(config.index.parse_timeout_s, config.index.max_pages)
        self._rest = Rest()
        self._embedding = Embedding(self._bulk, time.monotonic, self._rest.wait)
        self._reindexer = Reindexer(catalog, self._publisher, self._llm, self._embedding, time.monotonic)
        self._opener = Opener(config.index.web)

    def parts(self, lock: DirectoryLock) -> Parts:
        """All of them."""
        catalog, originals, stores, publisher = self._catalog, self._originals, self._stores, self._publisher
        return Parts(
            lock=lock,
            database=catalog.database,
            catalog=catalog,
            originals=originals,
            uploads=Uploads(self._config.home / "files" / "uploads", self._max_bytes),
            store=stores.vectors,
            precedence=stores.precedence,
            keywords=stores.keywords,
            publisher=publisher,
            reindexer=self._reindexer,
            searcher=Searcher(catalog, stores.vectors, stores.keywords, self._llm, time.monotonic),
            examiner=Examiner(catalog, stores.vectors, publisher, originals),
            editor=Editor(catalog, publisher, self._llm, time.time),
            packer=Packer(catalog, originals),
            unpacker=Unpacker(catalog, originals, self._llm, self._max_bytes),
            parser=self._parser,
            pictures=Pictures(catalog.documents, originals, Parser(DRAWING_S, self._config.index.max_pages)),
            ingest=self._ingest(),
            opener=self._opener,
            gatherer=self._gatherer(),
            follower=self._follower(),
            keeper=Keeper(catalog, stores.server, publisher, Rest()) if stores.server else None,
        )

    def _ingest(self) -> Ingest:
        database, documents = self._catalog.database, self._catalog.documents
        scanner = Scanner(self._parser, Scans(database), self._config.index, time.monotonic)
        preparer = Preparer(database, documents, self._originals, scanner)
        return Ingest(
            self._catalog, self._intake, preparer, self._embedding, self._publisher, self._reindexer, self._rest,
            time.monotonic,
        )  # fmt: skip

    def _gatherer(self) -> Gatherer:
        rest, tries = Rest(), self._config.index.web.tries
        taking = Taking(self._catalog, self._originals, self._publisher, self._opener, tries, rest.wait, time.time)
        return Gatherer(self._catalog, taking, rest, self._rest.wake, time.monotonic)

    def _follower(self) -> Follower:
        watches = WatchRecords(self._catalog.database, self._catalog.documents, time.time)
        takeover = Takeover(self._catalog, watches, self._intake, self._originals, self._publisher)
        return Follower(watches, takeover, self._config.index, Rest(), self._rest.wake, time.monotonic)


def _mend(parts: Parts) -> None:
    # A server is compared by its keeper, because it may come later than we do.
    for line in () if parts.keeper else parts.publisher.reconcile():
        log.warning("mended %s", line)
    if adopted := parts.catalog.jobs.adopt():
        log.warning("%d unfinished documents are queued again", adopted)
