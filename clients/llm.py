"""The contract of the LLM service, and its typed client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, overload

import numpy as np

from .client import Client, Stream
from .generation import Beam, Generate, Generation, Message, Prompt, Token, Usage, generate_request
from .models import MODELS, RELOAD, USAGE, ModelInfo, Models, Reload, Reloaded, RoleName, WorkerUsage
from .wire import Method, Nothing, unary

__all__ = [
    "EMBED",
    "EXTRACT",
    "GENERATE",
    "MAX_CHARS_PER_CALL",
    "MAX_TEXTS_PER_CALL",
    "METHODS",
    "MODELS",
    "RELOAD",
    "RERANK",
    "SCORE",
    "USAGE",
    "Beam",
    "Embed",
    "Embeddings",
    "Extract",
    "Extraction",
    "Generate",
    "Generation",
    "LLMClient",
    "Message",
    "ModelInfo",
    "Models",
    "Prompt",
    "Ranked",
    "Reload",
    "Reloaded",
    "Rerank",
    "Role",
    "RoleName",
    "Score",
    "ScoreKind",
    "Scores",
    "Sentence",
    "Token",
    "Usage",
    "WorkerUsage",
    "generate_request",
]

Role = Literal["document", "query"]
ScoreKind = Literal["similarity", "probability", "logit"]
MAX_TEXTS_PER_CALL = 64
MAX_CHARS_PER_CALL = 400_000


@dataclass(frozen=True, slots=True)
class Embed:
    """Texts to embed.

    Attributes:
        role: questions and documents take different prefixes in most models.
        model: name of a loaded model; empty means the service's own.
        instruction: what queries are told to be, for models that take one; empty means the model's own.
        dimension: cut the vectors to so many numbers and normalise again (Matryoshka); 0 means all.
    """

    texts: list[str]
    role: Role = "document"
    model: str = ""
    instruction: str = ""
    dimension: int = 0


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One L2-normalised float32 row per text: shape [n, dim].

    Attributes:
        truncated: indices of texts that were longer than the model takes, and were cut.
    """

    vectors: np.ndarray
    model: str
    num_tokens: int = 0
    truncated: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Rerank:
    """Documents to score against one query.

    Attributes:
        instruction: what makes a document fit, for models that take one; empty means the model's own.
    """

    query: str
    documents: list[str]
    model: str = ""
    instruction: str = ""


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores in the order of the documents, higher is better.

    Attributes:
        scores: float32 [n]; ``kind`` names the scale (similarity and probability are 0 to 1).
        logits: float32 [n], the raw outputs; equal to ``scores`` for a similarity. Order by these: scores
            near 1 round to the same number.
        truncated: indices of pairs that were longer than the model takes, and were cut.
    """

    scores: np.ndarray
    logits: np.ndarray
    kind: ScoreKind
    model: str
    num_tokens: int = 0
    truncated: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Score:
    """Pairs to score one by one: ``queries[i]`` against ``documents[i]``."""

    queries: list[str]
    documents: list[str]
    model: str = ""
    instruction: str = ""


@dataclass(frozen=True, slots=True)
class Extract:
    """Passages in which to find the sentences that answer a question."""

    question: str
    passages: list[str]
    max_sentences: int = 3


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a passage.

    Attributes:
        passage: index into the request's passages.
        start, end: character offsets in that passage.
        score: higher is better, 0 to 1.
    """

    passage: int
    start: int
    end: int
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Extraction:
    """The best sentences, best first."""

    sentences: list[Sentence]


EMBED = unary("llm.embed", Embed, Embeddings)
RERANK = unary("llm.rerank", Rerank, Scores)
SCORE = unary("llm.score", Score, Scores)
GENERATE = Method("llm.generate", Generate, Generation, Token)
EXTRACT = unary("llm.extract", Extract, Extraction)
METHODS = (EMBED, RERANK, SCORE, GENERATE, EXTRACT, MODELS)


@dataclass(frozen=True, slots=True)
class Ranked:
    """A document after reranking; ``index`` is its place in the request, ``kind`` the scale of ``score``."""

    index: int
    score: float
    logit: float
    text: str
    kind: ScoreKind = "similarity"


class LLMClient:
    """Embedding, reranking and generation, as plain calls."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def embed(
        self, texts: str | Iterable[str], role: Role = "document", *, model: str = "", timeout_s: float | None = None
    ) -> np.ndarray:
        """Embed texts.

        Args:
            texts: one text or many; they travel in batches, several of them at a time.
            role: ``query`` for questions, ``document`` for everything else.
            model: name of a loaded model, or empty for the service's own.
            timeout_s: seconds for the whole of it.

        Returns:
            float32 [n, dim], L2-normalised, rows in the order of the texts.

        Raises:
            ModelNotLoaded: the service has no embedding model.
        """
        return joined(self._client.call_many(EMBED, embed_requests(texts, role, model), timeout_s=timeout_s))

    def rerank(
        self,
        query: str,
        documents: Sequence[str],
        top_k: int | None = None,
        *,
        model: str = "",
        timeout_s: float | None = None,
    ) -> list[Ranked]:
        """Score documents against a query; best first, ties in the order given."""
        if not documents:
            return []
        reply = self._client.call(RERANK, Rerank(query, list(documents), model), timeout_s=timeout_s)
        return ranked(reply, documents, top_k)

    @overload
    def generate(
        self, prompt: Prompt, *, stream: Literal[False] = False, timeout_s: float | None = None, **controls: object
    ) -> Generation: ...
    @overload
    def generate(
        self, prompt: Prompt, *, stream: Literal[True], timeout_s: float | None = None, **controls: object
    ) -> Stream[Generation, Token]: ...

    def generate(
        self, prompt: Prompt, *, stream: bool = False, timeout_s: float | None = None, **controls: object
    ) -> Generation | Stream[Generation, Token]:
        """Continue a prompt or a conversation.

        Args:
            prompt: plain text, or the turns of a conversation (Message, or maps of role and content).
            stream: return a stream of tokens instead of the whole; leaving its loop cancels.
            timeout_s: seconds for the whole of it.
            controls: fields of Generate, such as ``max_tokens`` or ``temperature``.
        """
        tokens = self._client.stream(GENERATE, generate_request(prompt, **controls), timeout_s=timeout_s)
        if stream:
            return tokens
        with tokens:
            for _ in tokens:
                pass
            return tokens.reply

    def extract(
        self, question: str, passages: Sequence[str], max_sentences: int = 3, *, timeout_s: float | None = None
    ) -> list[Sentence]:
        """The sentences of the passages that answer best; needs no generation model."""
        request = Extract(question, list(passages), max_sentences)
        return self._client.call(EXTRACT, request, timeout_s=timeout_s).sentences

    def models(self, *, timeout_s: float | None = None) -> list[ModelInfo]:
        """Which model fills each role."""
        return self._client.call(MODELS, Nothing(), timeout_s=timeout_s).models


def embed_requests(texts: str | Iterable[str], role: Role, model: str) -> list[Embed]:
    """What is asked to have texts embedded: one request for each batch."""
    batches = _batches([texts] if isinstance(texts, str) else list(texts))
    return [Embed(batch, role, model) for batch in batches]


def joined(replies: Sequence[Embeddings]) -> np.ndarray:
    """The rows of every batch: float32 [n, dim]."""
    return np.concatenate([reply.vectors for reply in replies]) if replies else np.zeros((0, 0), np.float32)


def ranked(reply: Scores, documents: Sequence[str], top_k: int | None) -> list[Ranked]:
    """The documents by their scores; best first, ties in the order given."""
    order = np.argsort(-reply.logits, kind="stable")[: top_k or len(documents)]
    return [
        Ranked(int(i), float(reply.scores[i]), float(reply.logits[i]), documents[int(i)], reply.kind) for i in order
    ]


def _batches(texts: list[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    num_chars = 0
    for text in texts:
        if batch and (len(batch) >= MAX_TEXTS_PER_CALL or num_chars + len(text) > MAX_CHARS_PER_CALL):
            yield batch
            batch, num_chars = [], 0
        batch.append(text)
        num_chars += len(text)
    if batch:
        yield batch
