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
from .ingest import Ingest
from .intake import Intake
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
from .stores.base import VectorStore
from .stores.chroma import ChromaStore
from .stores.exact import ExactStore
from .stores.faiss import FaissStore
from .stores.memory import MemoryStore
from .unpacking import Unpacker
from .web.gathering import Gatherer
from .web.opening import Opener
from .web.taking import Taking

DRAWING_S = 20.0
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """The open parts; one process owns them."""

    lock: DirectoryLock
    database: Database
    catalog: Catalog
    originals: Originals
    uploads: Uploads
    store: VectorStore
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

    def close(self) -> None:
        """End the ingest after its step, and close everything."""
        self.gatherer.stop()
        self.ingest.stop()
        self.parser.close()
        self.pictures.close()
        self.keywords.close()
        self.store.close()
        self.database.close()
        self.lock.release()


def open_parts(config: Config, llm: LLM, bulk: LLM | None = None) -> Parts:
    """Own the data directory, open it, mend what a crash left, and go on ingesting.

    Args:
        config: where the data lives, and the limits.
        llm: embeds and reranks for those who search.
        bulk: embeds what is added, behind those who search; None means ``llm``.

    Raises:
        Locked: another process owns it.
        BackendError: the records or the vectors cannot be opened.
    """
    lock = DirectoryLock(config.home / "index")
    with ExitStack() as undo:
        lock.acquire()
        undo.callback(lock.release)
        database = Database(_path(config.index.sqlite_db_path, config.home / "index" / "records.sqlite"))
        undo.callback(database.close)
        store = _open_store(config)
        undo.callback(store.close)
        parts = _joined(config, llm, bulk or llm, lock, database, store)
        _mend(parts)
        undo.pop_all()
    parts.ingest.start()
    parts.gatherer.start()
    return parts


def _joined(config: Config, llm: LLM, bulk: LLM, lock: DirectoryLock, database: Database, store: VectorStore) -> Parts:
    files, max_bytes = config.home / "files", config.index.max_file_mb << 20
    catalog = Catalog(database, time.time)
    originals = Originals(database, files)
    uploads = Uploads(files / "uploads", max_bytes)
    uploads.sweep(time.time())
    keywords = KeywordIndexes(config.home / "index" / "keyword")
    publisher = Publisher(catalog, store, keywords)
    parser = Parser(config.index.parse_timeout_s, config.index.max_pages)
    rest = Rest()
    embedding = Embedding(bulk, time.monotonic, rest.wait)
    reindexer = Reindexer(catalog, publisher, llm, embedding, time.monotonic)
    ingest = Ingest(
        catalog,
        Intake(catalog, originals, config.index, max_bytes),
        Preparer(
            database, catalog.documents, originals, Scanner(parser, Scans(database), config.index, time.monotonic)
        ),
        embedding,
        publisher,
        reindexer,
        rest,
        time.monotonic,
    )
    opener, gathering = Opener(config.index.web), Rest()
    taking = Taking(catalog, originals, publisher, opener, config.index.web.tries, gathering.wait, time.time)
    return Parts(
        lock=lock,
        database=database,
        catalog=catalog,
        originals=originals,
        uploads=uploads,
        store=store,
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
    )


def _open_store(config: Config) -> VectorStore:
    store: VectorStore = MemoryStore()
    if config.index.store == "chroma":
        store = ExactStore(ChromaStore(_path(config.index.chroma_path, config.home / "chroma")))
    if config.index.store == "faiss":
        store = FaissStore(config.home / "faiss")
    store.open()
    return store


def _path(setting: str, default: Path) -> Path:
    return Path(setting).expanduser().resolve() if setting else default


def _mend(parts: Parts) -> None:
    for line in parts.publisher.reconcile():
        log.warning("mended %s", line)
    if adopted := parts.catalog.jobs.adopt():
        log.warning("%d unfinished documents are queued again", adopted)
