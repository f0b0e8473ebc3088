"""How an asyncio program uses the models of the LLM service: the same names as LLMClient, awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import numpy as np

from .aclient import AsyncClient
from .astream import AsyncStream
from .embedding import EMBED, Embeddings, Role, embed_requests, joined
from .errors import UnknownMethod
from .extraction import EXTRACT, Extract, Sentence
from .generation import Generation, Prompt, Token, generate_request
from .llm import GENERATE
from .models import (
    MODEL_OF,
    RELOAD,
    RELOAD_TIMEOUT_S,
    USAGE,
    ModelInfo,
    Reload,
    Reloaded,
    RoleName,
    WorkerUsage,
    unserved,
)
from .parts import OnProgress
from .scoring import RERANK, SCORE, Ranked, Scores, merged, ranked, rerank_requests, score_requests
from .wire import Nothing


class AsyncLLM:
    """Embedding, reranking and generation, awaited."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def embed(
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
        """Embed texts; float32 [n, dim], L2-normalised, rows in the order of the texts.

        ``on_progress`` is called in the loop; what it returns is awaited if it can be.
        """
        split = embed_requests(texts, role, model, instruction, dimension, tells=on_progress is not None)
        told = split.teller(on_progress)
        replies = await self._client.call_many(EMBED, split.requests, on_reply=told, timeout_s=timeout_s)
        return joined(replies, split.cuts).vectors

    async def rerank(
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
        """Score documents against a query; best first, ties in the order given."""
        if not documents:
            return []
        split = rerank_requests(query, documents, model, instruction, tells=on_progress is not None)
        told = split.teller(on_progress)
        replies = await self._client.call_many(RERANK, split.requests, on_reply=told, timeout_s=timeout_s)
        return ranked(merged(replies, split.cuts), documents, top_k)

    async def score(
        self,
        queries: str | Sequence[str],
        documents: Sequence[str],
        *,
        model: str = "",
        instruction: str = "",
        on_progress: OnProgress[Scores] | None = None,
        timeout_s: float | None = None,
    ) -> Scores:
        """Score pairs: ``queries[i]``, or the one query, against ``documents[i]``; scores in that order."""
        split = score_requests(queries, documents, model, instruction, tells=on_progress is not None)
        told = split.teller(on_progress)
        replies = await self._client.call_many(SCORE, split.requests, on_reply=told, timeout_s=timeout_s)
        return merged(replies, split.cuts)

    async def generate(self, prompt: Prompt, *, timeout_s: float | None = None, **controls: Any) -> Generation:
        """Continue a prompt or a conversation; the whole answer at once."""
        async with self._tokens(prompt, timeout_s, controls) as tokens:
            return await tokens.reply()

    async def stream(self, prompt: Prompt, *, timeout_s: float | None = None, **controls: Any) -> AsyncIterator[Token]:
        """Continue a prompt or a conversation, token by token; leaving the loop cancels."""
        async with self._tokens(prompt, timeout_s, controls) as tokens:
            async for token in tokens:
                yield token

    def _tokens(
        self, prompt: Prompt, timeout_s: float | None, controls: dict[str, Any]
    ) -> AsyncStream[Generation, Token]:
        return self._client.stream(GENERATE, generate_request(prompt, **controls), timeout_s=timeout_s)

    async def extract(
        self, question: str, passages: Sequence[str], max_sentences: int = 3, *, timeout_s: float | None = None
    ) -> list[Sentence]:
        """The sentences of the passages that answer best; needs no generation model."""
        request = Extract(question, list(passages), max_sentences)
        return (await self._client.call(EXTRACT, request, timeout_s=timeout_s)).sentences

    async def models(self, *, timeout_s: float | None = None) -> list[ModelInfo]:
        """Which model fills each role."""
        return [await self.model(role, timeout_s=timeout_s) for role in MODEL_OF]

    async def model(self, role: RoleName, *, timeout_s: float | None = None) -> ModelInfo:
        """Which model fills a role."""
        try:
            return await self._client.call(MODEL_OF[role], Nothing(), timeout_s=timeout_s)
        except UnknownMethod:
            return unserved(role)

    async def reload(
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
        """Put another model in place of the one that fills a role; see ``LLMClient.reload``."""
        wish = Reload(role, name, backend, dtype, device, release_first)
        return await self._client.call(RELOAD[role], wish, timeout_s=timeout_s)

    async def usage(self, *, timeout_s: float | None = None) -> WorkerUsage:
        """What one worker has done, and what it takes of its machine."""
        return await self._client.call(USAGE, Nothing(), timeout_s=timeout_s)
