"""How texts come in together with vectors that the caller made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .adding import Job
from .client import Client
from .ingest import JobRecord
from .wire import unary

MAX_TEXTS = 1000


@dataclass(frozen=True, slots=True)
class AddVectors:
    """Texts, each of which becomes a chunk, and their vectors.

    Attributes:
        name: of the document that they make up.
        vectors: float32 [n, dim], a row for each text, of any length but zero.
        model: whose vectors they are; empty means the model of the collection, which then has to have one.
    """

    collection: str
    name: str
    texts: list[str]
    vectors: np.ndarray
    model: str = ""


ADD_VECTORS = unary("index.add_vectors", AddVectors, JobRecord)
METHODS = (ADD_VECTORS,)


class Supplying:
    """The part of the Index service's client that adds texts with vectors."""

    _client: Client

    def add_vectors(
        self, collection: str, name: str, texts: Sequence[str], vectors: np.ndarray, *, model: str = ""
    ) -> Job:
        """Add a document whose chunks and vectors were made elsewhere.

        Args:
            collection: made when it is missing.
            name: of the document.
            texts: its chunks, at most 1000 of them, and 8 MiB with their vectors.
            vectors: float32 [n, dim], a row for each text; they are brought to length one.
            model: the name of the model that made them. Where the LLM service has it, questions are embedded by it;
                else the collection is searched by vectors of the caller's own (``search(..., vector=)``) and by words.

        Returns:
            A job that is already queued. The same texts once more count as unchanged.

        Raises:
            BadRequest: rows and texts are not as many, a row is zero or holds what is no number, a text is empty, the
                collection has vectors of another model or dimension, or nobody says whose the first ones are.
            TooLarge: more than travels at once; add several documents.
        """
        rows = np.ascontiguousarray(vectors, np.float32)
        return Job(self._client, self._client.call(ADD_VECTORS, AddVectors(collection, name, list(texts), rows, model)))
