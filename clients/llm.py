"""The contract of the LLM service, and its typed client."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, overload

import numpy as np

from . import models
from .client import Client, Stream
from .embedding import EMBED, MAX_TEXTS_PER_CALL, Embed, Embeddings, Role, embed_requests, joined
from .errors import UnknownMethod
from .extraction import EXTRACT, Extract, Extraction, Sentence
from .generation import Beam, Generate, Generation, Message, Prompt, Token, Usage, generate_request
from .models import (
    MODEL_OF,
    MODELS,
    RELOAD,
    RELOAD_TIMEOUT_S,
    USAGE,
    ModelInfo,
    Models,
    Reload,
    Reloaded,
    RoleName,
    WorkerUsage,
    unserved,
)
from .parts import MAX_CHARS_PER_CALL, OnProgress, Progress
from .scoring import (
    MAX_PAIRS_PER_CALL,
    RERANK,
    SCORE,
    Ranked,
    Rerank,
    Score,
    ScoreKind,
    Scores,
    merged,
    ranked,
    rerank_requests,
    score_requests,
)
from .wire import Method, Nothing

__all__ = [
    "EMBED",
    "EXTRACT",
    "GENERATE",
    "MAX_CHARS_PER_CALL",
    "MAX_PAIRS_PER_CALL",
    "MAX_TEXTS_PER_CALL",
    "METHODS",
    "MODELS",
    "MODEL_OF",
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
    "OnProgress",
    "Progress",
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

GENERATE = Method("llm.generate", Generate, Generation, Token)
METHODS = (EMBED, RERANK, SCORE, GENERATE, EXTRACT, *models.METHODS)


class LLMClient:
    """Embedding, reranking and generation, as plain calls."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def embed(
        self,
        texts: str | Iterable[str],
        role: Role = "document",
        *,
        model: str = "",
        instruction: str = "",
        dimension: int = 0,
        on_progress: OnProgress[Embeddings] | None = None,
        timeout_s: float | None = None,
    ) -> np.ndarray:
        """Embed texts.

        Args:
            texts: one text or many; they travel in parts, several of them at a time.
            role: ``query`` for questions, ``document`` for everything else.
            model: name of an embedding model that the service's machine has, loaded or not; empty means the
                service's own.
            instruction: what queries are told to be, for models that take one; empty means the model's own.
            dimension: cut the vectors to so many numbers and normalise again; 0 means all.
            on_progress: called in this thread with each part that is done; what it raises cancels the rest.
            timeout_s: seconds for each part.

        Returns:
            float32 [n, dim], L2-normalised, rows in the order of the texts.

        Raises:
            ModelNotLoaded: the service has no embedding model, or no room for the one that is named.
            NotFound: there is no model of that name.
            BadRequest: an empty text, or a dimension that the model's vectors cannot be cut to.
        """
        split = embed_requests(texts, role, model, instruction, dimension, tells=on_progress is not None)
        told = split.teller(on_progress)
        replies = self._client.call_many(EMBED, split.requests, on_reply=told, timeout_s=timeout_s)
        return joined(replies, split.cuts).vectors

    def rerank(
        self,
        query: str,
        documents: Sequence[str],
        top_k: int | None = None,
        *,
        model: str = "",
        instruction: str = "",
        on_progress: OnProgress[Scores] | None = None,
        timeout_s: float | None = None,
    ) -> list[Ranked]:
        """Score documents against a query; best first, ties in the order given.

        Args:
            query: what is looked for.
            documents: any number; they travel in parts, several of them at a time.
            top_k: how many come back at most; all of them otherwise.
            model: name of a loaded model, or empty for the service's own.
            instruction: what makes a document fit, for models that take one; empty means the model's own.
            on_progress: called in this thread with each part that is done; what it raises cancels the rest.
            timeout_s: seconds for each part.

        Raises:
            ModelNotLoaded: the service has no model that reranks.
        """
        if not documents:
            return []
        split = rerank_requests(query, documents, model, instruction, tells=on_progress is not None)
        told = split.teller(on_progress)
        replies = self._client.call_many(RERANK, split.requests, on_reply=told, timeout_s=timeout_s)
        return ranked(merged(replies, split.cuts), documents, top_k)

    def score(
        self,
        queries: str | Sequence[str],
        documents: Sequence[str],
        *,
        model: str = "",
        instruction: str = "",
        on_progress: OnProgress[Scores] | None = None,
        timeout_s: float | None = None,
    ) -> Scores:
        """Score pairs: ``queries[i]``, or the one query, against ``documents[i]``; scores in that order.

        The other arguments are those of ``rerank``.

        Raises:
            BadRequest: not as many queries as documents, or none.
        """
        split = score_requests(queries, documents, model, instruction, tells=on_progress is not None)
        told = split.teller(on_progress)
        return merged(self._client.call_many(SCORE, split.requests, on_reply=told, timeout_s=timeout_s), split.cuts)

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
        return [self.model(role, timeout_s=timeout_s) for role in MODEL_OF]

    def model(self, role: RoleName, *, timeout_s: float | None = None) -> ModelInfo:
        """Which model fills a role."""
        try:
            return self._client.call(MODEL_OF[role], Nothing(), timeout_s=timeout_s)
        except UnknownMethod:
            return unserved(role)

    def reload(
        self,
        role: RoleName,
        name: str = "",
        *,
        backend: str = "",
        dtype: str = "",
        device: str = "",
        release_first: bool = False,
        timeout_s: float | None = RELOAD_TIMEOUT_S,
    ) -> Reloaded:
        """Put another model in place of the one that fills a role; what is empty is as ragq.yml says.

        The new one is loaded and has worked before it takes over; calls under way end on the old one. A
        failure keeps the old one. The choice outlives restarts, until ragq.yml says something else of the role.

        Args:
            role: embed, rerank or generate.
            name: of a model in the models directory, or a path.
            backend: its runtime.
            dtype: what it computes in.
            device: where it computes.
            release_first: let go of the old model before, where memory holds only one; a failure brings it back.
            timeout_s: seconds for the whole of it.

        Raises:
            ModelNotLoaded: the model is not here.
            TooLarge: memory does not hold it.
        """
        wish = Reload(role, name, backend, dtype, device, release_first)
        return self._client.call(RELOAD[role], wish, timeout_s=timeout_s)

    def usage(self, *, timeout_s: float | None = None) -> WorkerUsage:
        """What one worker has done, and what it takes of its machine."""
        return self._client.call(USAGE, Nothing(), timeout_s=timeout_s)
