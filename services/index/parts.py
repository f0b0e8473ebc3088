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
        parts = _joined(config, (llm, bulk or llm), lock, catalog, (store, precedence), keywords, keeps)
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
        parts = _joined(
            config, (llm, llm), DirectoryLock(config.home / "index"), catalog, (store, precedence), keywords, None
        )
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


def _joined(
    config: Config,
    llms: tuple[LLM, LLM],
    lock: DirectoryLock,
    catalog: Catalog,
    stored: tuple[VectorStore, Precedence],
    keywords: KeywordIndexes,
    keeps: ChromaServer | None,
) -> Parts:
    (llm, bulk), (store, precedence) = llms, stored
    database, files, max_bytes = catalog.database, config.home / "files", config.index.max_file_mb << 20
    originals = Originals(database, files)
    uploads = Uploads(files / "uploads", max_bytes)
    publisher = Publisher(catalog, store, keywords)
    parser = Parser(config.index.parse_timeout_s, config.index.max_pages)
    rest = Rest()
    embedding = Embedding(bulk, time.monotonic, rest.wait)
    reindexer = Reindexer(catalog, publisher, llm, embedding, time.monotonic)
    intake = Intake(catalog, originals, config.index, max_bytes)
    ingest = Ingest(
        catalog,
        intake,
        Preparer(
            database, catalog.documents, originals, Scanner(parser, Scans(database), config.index, time.monotonic)
        ),
        embedding,
        publisher,
        reindexer,
        rest,
        time.monotonic,
    )
    watches = WatchRecords(database, catalog.documents, time.time)
    opener, gathering = Opener(config.index.web), Rest()
    taking = Taking(catalog, originals, publisher, opener, config.index.web.tries, gathering.wait, time.time)
    return Parts(
        lock=lock,
        database=database,
        catalog=catalog,
        originals=originals,
        uploads=uploads,
        store=store,
        precedence=precedence,
        keywords=keywords,
        publisher=publisher,
        reindexer=reindexer,
        searcher=Searcher(catalog, store, keywords, llm, time.monotonic),
        examiner=Examiner(catalog, store, publisher, originals),
        editor=Editor(catalog, publisher, llm, time.time),
        packer=Packer(catalog, originals),
        unpacker=Unpacker(catalog, originals, llm, max_bytes),
        parser=parser,
        pictures=Pictures(catalog.documents, originals, Parser(DRAWING_S, config.index.max_pages)),
        ingest=ingest,
        opener=opener,
        gatherer=Gatherer(catalog, taking, gathering, rest.wake, time.monotonic),
        follower=Follower(
            watches,
            Takeover(catalog, watches, intake, originals, publisher),
            config.index,
            Rest(),
            rest.wake,
            time.monotonic,
        ),
        keeper=Keeper(catalog, keeps, publisher, Rest()) if keeps else None,
    )


def _mend(parts: Parts) -> None:
    # A server is compared by its keeper, because it may come later than we do.
    for line in () if parts.keeper else parts.publisher.reconcile():
        log.warning("mended %s", line)
    if adopted := parts.catalog.jobs.adopt():
        log.warning("%d unfinished documents are queued again", adopted)
