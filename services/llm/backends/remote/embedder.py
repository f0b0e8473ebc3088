"""Vectors of texts from a server (OpenAI's POST /embeddings)."""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clients.errors import BackendError, BadRequest, TooLarge
from clients.llm import Role
from services.llm.backends.base import Prepared
from services.models import Card

from .options import Kind, Options
from .server import Server
from .texts import PreparedText, halved, prepare_text, refuse_tokens, unpack

log = logging.getLogger(__name__)

BUDGET_TOKENS = 16384
# A server does not pad, or pads better than we can guess: whatever waits may travel together.
ANY_WASTE = 1 << 30


class RemoteEmbedder:
    """An embedding model behind a server.

    Args:
        card: the dimension is not known before the first vector.
        dimension: ask for vectors that are cut to so many numbers; 0 takes them as they are.
        kind: of server.

    Raises:
        RagqError: the server gives no vectors; says why.
    """

    max_waste_tokens = ANY_WASTE
    budget_tokens = BUDGET_TOKENS

    def __init__(self, server: Server, card: Card, options: Options, kind: Kind, dimension: int = 0) -> None:
        self.card = card
        self.num_streams = options.streams
        self._server, self._options, self._kind = server, options, kind
        self._path = f"{server.address.path}/embeddings"
        self._dimension = dimension
        self._format = "base64"

    def prepare(
        self, texts: Sequence[str], role: Role, *, instruction: str = "", wants_tokens: bool = False
    ) -> list[Prepared]:
        """Put the prefix in front; the server cuts what is too long."""
        if wants_tokens:
            raise refuse_tokens()
        prefix = self.card.document_prefix
        if role == "query":
            prefix = self.card.query_prefix.replace("{instruction}", instruction or self.card.instruction)
        return [prepare_text(prefix, text, role) for text in texts]

    def run(self, batch: Sequence[Prepared], *, is_alone: bool = False) -> list[np.ndarray]:
        """As many requests as the batch needs, one after another."""
        results: list[np.ndarray | None] = [None] * len(batch)
        for role in ("query", "document"):
            chosen = [(i, text) for i, text in enumerate(map(_as_text, batch)) if text.role == role]
            for start in range(0, len(chosen), self._options.batch):
                part = chosen[start : start + self._options.batch]
                vectors = self._embed([unpack(text.ids) for _, text in part], role)
                for (i, _), vector in zip(part, vectors, strict=True):
                    results[i] = vector
        return [vector for vector in results if vector is not None]

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def measure(self) -> int:
        """Embed a word: the length of the vectors; finds out whether the server knows base64."""
        try:
            return len(self._embed(["warm"], "query")[0])
        except BadRequest:
            self._format = "float"
            return len(self._embed(["warm"], "query")[0])

    def _embed(self, texts: list[str], role: str) -> list[np.ndarray]:
        """One request; when a text is too long, one for each, and that one cut."""
        try:
            return self._request(texts, role)
        except TooLarge as error:
            if len(texts) > 1:
                middle = len(texts) // 2
                return self._embed(texts[:middle], role) + self._embed(texts[middle:], role)
            if len(texts[0]) < 2:
                raise
            log.warning("a text of %d characters is cut in half: %s", len(texts[0]), error.message)
            return self._embed([halved(texts[0])], role)

    def _request(self, texts: list[str], role: str) -> list[np.ndarray]:
        body: dict[str, object] = {"model": self.card.name, "input": texts, "encoding_format": self._format}
        if self._dimension:
            body["dimensions"] = self._dimension
        if self._kind == "ragq":
            body["input_type"] = role
        if self._kind == "vllm":
            body["truncate_prompt_tokens"] = -1
        value = self._server.ask_again(self._path, body | self._options.body)
        vectors = [self._unit(vector) for vector in read_vectors(value, len(texts), self._path)]
        wanted = self.card.dimension or len(vectors[0])
        if any(len(vector) != wanted for vector in vectors):
            raise BackendError(
                f"{self._path}: vectors of {len(vectors[0])} numbers, expected {wanted}",
                help="another model seems to answer there; restart the LLM service if that is meant",
            )
        return vectors

    def _unit(self, vector: np.ndarray) -> np.ndarray:
        """Cut, where the server has not, and L2-normalised."""
        if 0 < self._dimension < len(vector):
            vector = vector[: self._dimension]
        norm = float(np.linalg.norm(vector.astype(np.float64)))
        if not np.isfinite(norm) or norm == 0.0:
            raise BackendError(f"{self._path}: a vector of zeros, or with numbers that are none (NaN)")
        return (vector / norm).astype(np.float32)


def _as_text(prepared: Prepared) -> PreparedText:
    assert isinstance(prepared, PreparedText)
    return prepared


def read_vectors(value: Any, count: int, where: str) -> list[np.ndarray]:
    """The vectors of an answer in the order of the texts, each float32 [dim].

    Raises:
        BackendError: one is missing, comes twice, or is not a list of numbers.
    """
    entries = value.get("data") if isinstance(value, Mapping) else None
    if not isinstance(entries, list):
        raise BackendError(f"{where}: the answer has no list 'data'")
    found: dict[int, np.ndarray] = {}
    for place, entry in enumerate(entries):
        index = entry.get("index", place) if isinstance(entry, Mapping) else -1
        if not isinstance(index, int) or not 0 <= index < count or index in found:
            raise BackendError(f"{where}: a vector for text {index}, of {count}")
        found[index] = _vector(entry.get("embedding"), where)
    if len(found) < count:
        raise BackendError(f"{where}: {len(found)} vectors for {count} texts")
    return [found[i] for i in range(count)]


def _vector(value: object, where: str) -> np.ndarray:
    """From a list of numbers, or base64 of float32 in little endian."""
    try:
        if isinstance(value, str):
            vector = np.frombuffer(base64.b64decode(value, validate=True), "<f4")
        else:
            vector = np.array(value, np.float32)
    except (ValueError, TypeError, binascii.Error) as error:
        raise BackendError(f"{where}: a vector that cannot be read: {error}") from error
    if vector.ndim != 1 or not len(vector):
        raise BackendError(f"{where}: a vector per text is expected, not an array of shape {list(vector.shape)}")
    return vector
