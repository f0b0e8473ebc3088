"""Vectors in a Chroma server, which any number of processes may ask at once."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import numpy as np

from clients.errors import AlreadyExists, BackendError, NotFound, StoreAway

from .base import Near, nearest, unit_rows
from .chroma import HNSW, MAX_SCANNED
from .exchange import Exchange
from .together import Together

ADD_BATCH = 500
GET_BATCH = 2000
LIST_BATCH = 10_000
QUICK_S = 10.0
WRITE_S = 120.0
TENANT = "/api/v2/tenants/default_tenant/databases"
DEFAULT_DATABASE = "default_database"
MARK = "ragq-mark"


class ChromaServer:
    """Chroma's HTTP interface, version 2, spoken by ourselves.

    Chroma's own client waits for ever for a server that has stopped, and takes a hundred megabytes in each process.

    Args:
        exchange: with the server.
        database: of the server, made when it is missing; the collections of different records must not share one.
        filled: the mark of the server that holds everything; None asks any. A collection that was made anew is searched
            only in that one, because another would find what was written since and nothing else.
    """

    def __init__(
        self, exchange: Exchange, database: str = DEFAULT_DATABASE, filled: Callable[[], str] | None = None
    ) -> None:
        self._exchange = exchange
        self._filled = filled
        self._trusted: dict[str, str] = {}
        self._database = database
        self._root = f"{TENANT}/{quote(database, safe='')}"
        self._known: dict[str, str] = {}
        self._together = Together(self._ask)

    def open(self) -> None:
        """Nothing to load; a server that is away now may come."""

    def close(self) -> None:
        """Let go of the connections."""
        self._known.clear()
        self._exchange.close()

    def mark(self) -> str:
        """The id of the server's mark, empty without one; a server that lost its disk has lost its mark too."""
        try:
            return str(self._get(f"{self._root}/collections/{MARK}")["id"])
        except NotFound:
            return ""

    def set_mark(self) -> str:
        """Give the server a mark, if it has none; its id."""
        return self._made(MARK)

    def create(self, collection: str) -> None:
        """Make a collection; one that is there stays as it is."""
        self._known[collection] = self._made(collection)

    def _made(self, collection: str) -> str:
        body = {"name": collection, "get_or_create": True, "configuration": {"hnsw": HNSW}}
        try:
            return str(self._post(f"{self._root}/collections", body, WRITE_S)["id"])
        except (BackendError, NotFound):  # it says 400 or 404 when it has no such database
            self._make_database()
            return str(self._post(f"{self._root}/collections", body, WRITE_S)["id"])

    def _make_database(self) -> None:
        with suppress(AlreadyExists):
            self._post(TENANT, {"name": self._database}, WRITE_S)

    def drop(self, collection: str) -> None:
        """Delete a collection with its vectors."""
        self._known.pop(collection, None)
        with suppress(NotFound):
            self._exchange.ask("DELETE", f"{self._root}/collections/{quote(collection)}", timeout_s=WRITE_S)

    def upsert(self, collection: str, ids: Sequence[str], vectors: np.ndarray) -> None:
        """Add or replace vectors, float32 [n, dim], 500 in a request."""
        rows = np.ascontiguousarray(vectors, "<f4")
        for at in range(0, len(ids), ADD_BATCH):
            packed = [base64.b64encode(row.tobytes()).decode("ascii") for row in rows[at : at + ADD_BATCH]]
            self._of(collection, "upsert", {"ids": list(ids[at : at + ADD_BATCH]), "embeddings": packed}, WRITE_S)

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        """Delete vectors; ids that are not there are fine."""
        for at in range(0, len(ids), ADD_BATCH):
            try:
                self._of(collection, "delete", {"ids": list(ids[at : at + ADD_BATCH])}, WRITE_S)
            except NotFound:
                return

    def query(
        self, collection: str, vectors: np.ndarray, k: int, allowed: Sequence[str] | None = None
    ) -> list[list[Near]]:
        """The ``k`` nearest for each row of float32 [n, dim]; few ``allowed`` vectors are read and scanned."""
        if allowed is None:
            return self._together.ask(collection, vectors, k)
        if len(allowed) > MAX_SCANNED:
            # The filter fails when an id is not there; reading leaves it out.
            with suppress(BackendError):
                return self._ask(collection, vectors, k, allowed)
        ids, rows = self.read(collection, allowed)
        return nearest(ids, unit_rows(rows), vectors, k)

    def _ask(
        self, collection: str, vectors: np.ndarray, k: int, among: Sequence[str] | None = None
    ) -> list[list[Near]]:
        rows = np.asarray(vectors, np.float32).tolist()
        body: dict[str, Any] = {"query_embeddings": rows, "n_results": k, "include": ["distances"]}
        if among is not None:
            body["ids"] = list(among)
        try:
            reply = self._of(collection, "query", body, QUICK_S)
        except NotFound as error:
            raise BackendError(
                f"the server has no collection '{collection}'",
                help="it is written anew from the records within seconds; ragq fsck tells when it is whole",
            ) from error
        if self._filled and self._trusted.get(collection) != self._known.get(collection):
            self._trust(collection, self._filled())
        return [
            [Near(id_, 1.0 - float(distance)) for id_, distance in zip(row, far, strict=True)]
            for row, far in zip(reply["ids"], reply["distances"], strict=True)
        ]

    def _trust(self, collection: str, mark: str) -> None:
        known = self._known.get(collection, "")
        if not mark or self.mark() != mark:
            raise StoreAway(
                "the vector store's server is being filled from the records",
                help="searches by words go on; 'ragq logs index' tells how far it is",
            )
        self._trusted[collection] = known

    def count(self, collection: str) -> int:
        """How many vectors there are; 0 for a collection that is not there."""
        try:
            return int(self._resolved(collection, lambda path: self._get(f"{path}/count")))
        except NotFound:
            return 0

    def ids(self, collection: str) -> set[str]:
        """The ids of all vectors."""
        found: set[str] = set()
        while True:
            page = self._page(collection, {"limit": LIST_BATCH, "offset": len(found), "include": []})
            found.update(page["ids"])
            if len(page["ids"]) < LIST_BATCH:
                return found

    def read(self, collection: str, ids: Sequence[str] | None = None) -> tuple[list[str], np.ndarray]:
        """Vectors by their ids, or all of them; float32 [n, dim]."""
        asked: list[dict[str, Any]] = (
            [{"limit": GET_BATCH, "offset": at} for at in range(0, self.count(collection), GET_BATCH)]
            if ids is None
            else [{"ids": list(ids[at : at + GET_BATCH])} for at in range(0, len(ids), GET_BATCH)]
        )
        pages = [self._page(collection, {**part, "include": ["embeddings"]}) for part in asked]
        found = [id_ for page in pages for id_ in page["ids"]]
        rows = [np.asarray(page["embeddings"], np.float32) for page in pages if page["ids"]]
        return found, np.concatenate(rows) if rows else np.zeros((0, 0), np.float32)

    def _page(self, collection: str, body: dict[str, Any]) -> Any:
        try:
            return self._of(collection, "get", body, WRITE_S)
        except NotFound:
            return {"ids": [], "embeddings": []}

    def _of(self, collection: str, verb: str, body: object, timeout_s: float) -> Any:
        return self._resolved(collection, lambda path: self._post(f"{path}/{verb}", body, timeout_s))

    def _resolved(self, collection: str, ask: Callable[[str], Any]) -> Any:
        """What the server says of a collection; another process may have made it anew, with another id."""
        known = self._known.get(collection)
        if known is not None:
            try:
                return ask(f"{self._root}/collections/{known}")
            except NotFound:
                self._known.pop(collection, None)
        found = str(self._get(f"{self._root}/collections/{quote(collection)}")["id"])
        self._known[collection] = found
        return ask(f"{self._root}/collections/{found}")

    def _get(self, path: str) -> Any:
        return self._exchange.ask("GET", path, timeout_s=QUICK_S)

    def _post(self, path: str, body: object, timeout_s: float) -> Any:
        return self._exchange.ask("POST", path, body, timeout_s=timeout_s)
