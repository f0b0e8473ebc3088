"""Which texts and vectors of a caller's own may come into a collection, and how are they put on record?"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clients.errors import BadRequest, TooLarge
from clients.supplying import MAX_TEXTS, AddVectors

from .catalog import Catalog, Shelf
from .chunks import Piece
from .documents import Incoming
from .embedding import SERVING
from .ingest import check_model
from .jobs import OpenJob
from .loaders.base import Loaded
from .originals import Originals

BETWEEN = "\n\n"
MEDIA_TYPE = "text/plain"


@dataclass(frozen=True, slots=True)
class Supplied:
    """A document whose chunks and vectors are known.

    Attributes:
        text: the chunks, with an empty line between them.
        vectors: float32 [n, dim], rows of length one.
    """

    name: str
    text: str
    pieces: list[Piece]
    vectors: np.ndarray


def checked(request: AddVectors) -> Supplied:
    """The document of a request.

    Raises:
        BadRequest: it is none; says why.
        TooLarge: too many texts.
    """
    if not request.texts or not request.name.strip():
        raise BadRequest("add_vectors: there is no text, or no name", help="give at least one text, and a name")
    if len(request.texts) > MAX_TEXTS:
        raise TooLarge(f"{len(request.texts)} texts at once; at most {MAX_TEXTS}", help="add several documents")
    for number, text in enumerate(request.texts):
        if not text.strip():
            raise BadRequest(f"texts[{number}] is empty", help="leave it out, with its vector")
    text, pieces = _joined(request.texts)
    return Supplied(request.name, text, pieces, _unit(request.vectors, len(pieces)))


def _joined(texts: Sequence[str]) -> tuple[str, list[Piece]]:
    pieces, start = [], 0
    for text in texts:
        pieces.append(Piece(text, start, start + len(text)))
        start += len(text) + len(BETWEEN)
    return BETWEEN.join(texts), pieces


def _unit(vectors: np.ndarray, num_texts: int) -> np.ndarray:
    if vectors.ndim != 2 or len(vectors) != num_texts or not vectors.shape[1]:
        raise BadRequest(f"vectors of shape {list(vectors.shape)} for {num_texts} texts", help="a row for each text")
    rows = vectors.astype(np.float32)
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
    wrong = np.flatnonzero(~np.isfinite(lengths) | (lengths == 0.0))
    if len(wrong):
        raise BadRequest(f"vectors[{wrong[0]}] is zero, or holds what is no number")
    unit: np.ndarray = (rows / lengths[:, None]).astype(np.float32)
    return unit


def settled(catalog: Catalog, shelf: Shelf, model: str, dimension: int) -> Shelf:
    """The collection, which holds or takes up vectors of that model; BadRequest when it holds others."""
    if catalog.maker(shelf) == SERVING:
        if not model:
            raise BadRequest(
                f"the collection '{shelf.name}' has no vectors yet",
                help="say whose these are: model='name of the model'",
            )
        if (shelf.model, shelf.dimension) != (model, dimension):
            shelf = catalog.set_model(catalog.with_model(shelf, model, dimension))
    check_model(shelf, model or shelf.model, dimension)
    return shelf


def put(
    tx: sqlite3.Connection, catalog: Catalog, originals: Originals, shelf: Shelf, job: OpenJob, given: Supplied
) -> None:
    """Put a document with all of its vectors on record; one that is there already stays as it is.

    Args:
        tx: the transaction.
        catalog: the records.
        originals: keeps the text.
        shelf: the collection, as the transaction sees it.
        job: the job that ends when the document can be found.
        given: the document.
    """
    content = given.text.encode("utf-8", "replace")
    new = Incoming(given.name, MEDIA_TYPE, originals.keep(tx, content), len(content))
    id_ = catalog.jobs.add(tx, job, new)
    row = tx.execute("SELECT status FROM documents WHERE id = ?", (id_,)).fetchone()
    if row["status"] != "queued":
        return
    catalog.documents.begin(tx, id_)
    catalog.documents.append(tx, id_, 0, given.pieces)
    language = Loaded(given.text, MEDIA_TYPE).language
    catalog.documents.chunked(tx, id_, len(given.pieces), MEDIA_TYPE, language)
    tx.executemany(
        "INSERT INTO vectors (chunk_key, generation, vector) SELECT key, ?, ? FROM chunks "
        "WHERE document_id = ? AND position = ?",
        [(shelf.generation, row.tobytes(), id_, position) for position, row in enumerate(given.vectors)],
    )
    tx.execute("UPDATE documents SET num_embedded = num_chunks WHERE id = ?", (id_,))
