"""Which collections exist, and everything else that is on record about them."""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from dataclasses import dataclass

from clients.errors import AlreadyExists, BadRequest, NotFound
from clients.index import Collection
from clients.wire import Clock

from .attempts import Attempts
from .changes import Changes
from .chats import Chats
from .documents import Documents
from .embedding import SERVING, Maker
from .generations import Generations, give_up, next_generation, retire
from .items import Items
from .jobs import Jobs
from .listing import Listing
from .schema import Database
from .versions import Versions

NAME = re.compile(r"[\w-]{1,64}")
COUNTED = """
SELECT c.*, coalesce(sum(t.num_documents), 0) AS num_documents,
    coalesce(sum(iif(t.status = 'ready', t.num_chunks, 0)), 0) AS num_chunks,
    coalesce(sum(iif(t.status = 'failed', t.num_documents, 0)), 0) AS num_failed
FROM collections c LEFT JOIN document_tallies t ON t.collection_id = c.id
"""
# Only at these stages has a document any; to look through all that wait takes long.
HAS_VECTORS = """SELECT 1 FROM documents
WHERE collection_id = ? AND status IN ('ready', 'embedding') AND num_embedded > 0 LIMIT 1"""


@dataclass(frozen=True, slots=True)
class Shelf:
    """A collection as the stores know it.

    Attributes:
        id: number that is never given twice, so that a collection made anew meets no old vectors.
        model: embedding model of its vectors; empty until the first document is embedded.
        generation: of the vectors that are searched.
    """

    id: int
    name: str
    model: str
    dimension: int
    generation: int = 0

    @property
    def maker(self) -> Maker:
        """What made its vectors."""
        return Maker(self.model, self.dimension)

    @property
    def key(self) -> str:
        """Its name inside the keyword index: ASCII, whatever script people use."""
        return shelf_key(self.id)

    @property
    def store_key(self) -> str:
        """The name of its vectors inside the vector store."""
        return store_key(self.id, self.generation)


def shelf_key(collection_id: int) -> str:
    """The name of a collection inside the keyword index."""
    return f"collection-{collection_id:06d}"


def store_key(collection_id: int, generation: int) -> str:
    """The name of a generation of a collection's vectors inside the vector store."""
    return f"{shelf_key(collection_id)}-{generation:06d}" if generation else shelf_key(collection_id)


def place_of(key: str) -> tuple[int, int]:
    """The number of the collection and the generation that a name inside the stores stands for."""
    _, number, *generation = key.split("-")
    return int(number), int(generation[0]) if generation else 0


def checked_name(name: str) -> str:
    """The name in composed form; BadRequest when it is not one."""
    composed = unicodedata.normalize("NFC", name.strip())
    if not NAME.fullmatch(composed):
        raise BadRequest(
            f"{name!r} cannot name a collection",
            help="use 1 to 64 letters, digits, '-' and '_' of any script; the title may be any text",
        )
    return composed


class Catalog:
    """The records: collections here, and below them documents, jobs and chats."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self._clock = clock
        self.documents = Documents(database, clock)
        self.listing = Listing(database)
        self.generations = Generations(database)
        self.versions = Versions(database, self.documents)
        self.items = Items(database)
        self.jobs = Jobs(database, self.documents, clock)
        self.chats = Chats(database, clock)
        self.changes = Changes(database)
        self.attempts = Attempts(database)

    def collections(self) -> list[Collection]:
        """All of them, oldest first, with their counts."""
        rows = self.database.read().execute(f"{COUNTED} GROUP BY c.id ORDER BY c.id")
        return [_collection(row) for row in rows]

    def collection(self, name: str) -> Collection:
        """One with its counts; NotFound."""
        rows = self.database.read().execute(f"{COUNTED} WHERE c.name = ? GROUP BY c.id", (checked_name(name),))
        row = rows.fetchone()
        if row is None:
            raise _no_collection(name)
        return _collection(row)

    def is_new(self) -> bool:
        """Whether there never was a collection; one that was deleted counts."""
        row = self.database.read().execute("SELECT 1 FROM sqlite_sequence WHERE name = 'collections'").fetchone()
        return row is None

    def shelf(self, name: str) -> Shelf:
        """One as the stores know it; NotFound."""
        row = self.database.read().execute("SELECT * FROM collections WHERE name = ?", (checked_name(name),)).fetchone()
        if row is None:
            raise _no_collection(name)
        return _shelf(row)

    def shelves(self) -> list[Shelf]:
        """All of them as the stores know them."""
        return [_shelf(row) for row in self.database.read().execute("SELECT * FROM collections ORDER BY id")]

    def shelf_of(self, collection_id: int) -> Shelf | None:
        """One by its number; None when it is gone."""
        return self.shelf_in(self.database.read(), collection_id)

    def shelf_in(self, connection: sqlite3.Connection, collection_id: int) -> Shelf | None:
        """As `shelf_of`, as a transaction sees it."""
        row = connection.execute("SELECT * FROM collections WHERE id = ?", (collection_id,)).fetchone()
        return _shelf(row) if row else None

    def create(self, name: str, title: str, *, exist_ok: bool) -> Collection:
        """Make a collection; AlreadyExists unless ``exist_ok``."""
        name = checked_name(name)
        with self.database.write() as tx:
            made = tx.execute(
                "INSERT INTO collections (name, title, created_at) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING",
                (name, title.strip() or name, self._clock()),
            )
            if not made.rowcount and not exist_ok:
                raise AlreadyExists(
                    f"there is a collection '{name}' already", help="choose another name, or delete it first"
                )
        return self.collection(name)

    def make(self, tx: sqlite3.Connection, name: str, title: str, model: str, dimension: int) -> Shelf:
        """Make a collection whose model is known, inside a transaction; AlreadyExists."""
        made = tx.execute(
            """INSERT INTO collections (name, title, model, dimension, created_at) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT (name) DO NOTHING""",
            (name, title, model, dimension, self._clock()),
        )
        if not made.rowcount:
            raise AlreadyExists(f"there is a collection '{name}' already", help="give another name")
        return Shelf(int(made.lastrowid or 0), name, model, dimension)

    def maker(self, shelf: Shelf) -> Maker:
        """What makes the vectors of what is added: the collection's own model, as soon as it holds any of its."""
        row = self.database.read().execute(HAS_VECTORS, (shelf.id,)).fetchone()
        return shelf.maker if row else SERVING

    def with_model(self, shelf: Shelf, model: str, dimension: int) -> Shelf:
        """A collection as it would be if that model made its vectors; in place of others they are a new generation."""
        generation = next_generation(self.database.read(), shelf.id) if shelf.model else shelf.generation
        return Shelf(shelf.id, shelf.name, model, dimension, generation)

    def set_model(self, shelf: Shelf) -> Shelf:
        """Let a collection that has no vectors yet be as `with_model` made it; the collection as it then is."""
        with self.database.write() as tx:
            now = self.shelf_in(tx, shelf.id)
            if now is None or self.maker(shelf) != SERVING:
                return now or shelf
            if now.generation != shelf.generation:
                retire(tx, shelf.id)
            tx.execute(
                "UPDATE collections SET model = ?, dimension = ?, generation = ? WHERE id = ?",
                (shelf.model, shelf.dimension, shelf.generation, shelf.id),
            )
        return shelf

    def delete(self, name: str) -> Shelf:
        """Delete a collection's records; what the stores hold of it is on record as stale until they forgot it."""
        shelf = self.shelf(name)
        with self.database.write() as tx:
            self.jobs.cancel_collection(tx, shelf.id)
            give_up(tx, collection_id=shelf.id)
            retire(tx, shelf.id)
            tx.execute("DELETE FROM stale_entries WHERE collection_id = ?", (shelf.id,))
            tx.execute("DELETE FROM collections WHERE id = ?", (shelf.id,))
        return shelf


def _no_collection(name: str) -> NotFound:
    return NotFound(f"there is no collection '{name}'", help="ragq collections lists them")


def _shelf(row: sqlite3.Row) -> Shelf:
    return Shelf(row["id"], row["name"], row["model"], row["dimension"], row["generation"])


def _collection(row: sqlite3.Row) -> Collection:
    return Collection(
        name=row["name"], title=row["title"], model=row["model"], dimension=row["dimension"],
        num_documents=row["num_documents"], num_chunks=row["num_chunks"], num_failed=row["num_failed"],
        created_at=row["created_at"],
    )  # fmt: skip
