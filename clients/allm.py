"""How an asyncio program uses the models of the LLM service: the same names as LLMClient, awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import numpy as np

from .aclient import AsyncClient
from .astream import AsyncStream
from .llm import (
    EMBED,
    EXTRACT,
    GENERATE,
    MODELS,
    RERANK,
    Extract,
    Generation,
    ModelInfo,
    Prompt,
    Ranked,
    Rerank,
    Role,
    Sentence,
    Token,
    embed_requests,
    generate_request,
    joined,
    ranked,
)
from .wire import Nothing


class AsyncLLM:
    """Embedding, reranking and generation, awaited."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def embed(
        self, texts: str | Iterable[str], role: Role = "document", *, model: str = "", timeout_s: float | None = None
    ) -> np.ndarray:
        """Embed texts; float32 [n, dim], L2-normalised, rows in the order of the texts."""
        return joined(await self._client.call_many(EMBED, embed_requests(texts, role, model), timeout_s=timeout_s))

    async def rerank(
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
        reply = await self._client.call(RERANK, Rerank(query, list(documents), model), timeout_s=timeout_s)
        return ranked(reply, documents, top_k)

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
        return (await self._client.call(MODELS, Nothing(), timeout_s=timeout_s)).models
