"""The LLM service: embeds, reranks, writes and extracts with the models of its roles."""

from __future__ import annotations

import os
from collections.abc import Generator as Stream
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from clients.config import Config
from clients.errors import ModelNotLoaded
from clients.llm import (
    EMBED,
    EXTRACT,
    GENERATE,
    MODELS,
    RERANK,
    SCORE,
    Embed,
    Embeddings,
    Extract,
    Extraction,
    Generate,
    Generation,
    Models,
    Rerank,
    Score,
    Scores,
    Token,
)
from clients.wire import Nothing
from services.service import Call, Service, serves

from .checks import check_embed, check_extract, check_generate, check_rerank, check_score
from .embedding import Embedding
from .extract import Similarity, extract
from .roles import Roles

# Threads of several processes share the cores: they must sleep, not spin, while they wait.
QUIET = {"OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false", "OPENVINO_TELEMETRY": "0"}


class LLMService(Service):
    """Serves the methods of ``clients.llm``."""

    name: ClassVar[str] = "llm"
    slots: ClassVar[int] = 16

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.roles = Roles.of(config.llm, config.home)

    def start(self) -> None:
        """Load the small models at once and the writer behind them, so that searching works first."""
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        self.roles.embed.fill()
        self.roles.rerank.fill()
        self.roles.generate.fill_later()

    def stop(self) -> None:
        """Let go of the models."""
        self.roles.close()

    def note(self) -> str:
        """Which model fills each role."""
        return ", ".join(f"{info.role} {info.name} ({info.status.splitlines()[0]})" for info in self.roles.infos())

    @serves(EMBED)
    def embed(self, request: Embed, call: Call) -> Embeddings:
        """Vectors in the order of the texts."""
        check_embed(request)
        embedding = self.roles.embed.get(call, request.model)
        made = embedding.embed(
            request.texts, request.role, call, instruction=request.instruction, dimension=request.dimension
        )
        return Embeddings(made.vectors, embedding.card.name, made.num_tokens, made.truncated)

    @serves(RERANK)
    def rerank(self, request: Rerank, call: Call) -> Scores:
        """Scores in the order of the documents."""
        check_rerank(request)
        reranker = self.roles.rerank.get(call, request.model)
        pairs = [(request.query, document) for document in request.documents]
        return reranker.score(pairs, call, instruction=request.instruction)

    @serves(SCORE)
    def score(self, request: Score, call: Call) -> Scores:
        """Scores in the order of the pairs."""
        check_score(request)
        reranker = self.roles.rerank.get(call, request.model)
        pairs = list(zip(request.queries, request.documents, strict=True))
        return reranker.score(pairs, call, instruction=request.instruction)

    @serves(GENERATE)
    def generate(self, request: Generate, call: Call) -> Stream[Token, None, Generation]:
        """Tokens as they become final, then the whole."""
        check_generate(request)
        return (yield from self.roles.generate.get(call, request.model).generate(request, call))

    @serves(EXTRACT)
    def extract(self, request: Extract, call: Call) -> Extraction:
        """The best sentences; by words alone while there is no embedding model."""
        check_extract(request)
        try:
            embedding = self.roles.embed.get(call)
        except ModelNotLoaded:
            return extract(request, None)
        return extract(request, _similarity(embedding, call))

    @serves(MODELS)
    def models(self, request: Nothing, call: Call) -> Models:  # noqa: ARG002 - the shape of every handler
        """The model of every role."""
        return Models(self.roles.infos())


def _similarity(embedding: Embedding, call: Call) -> Similarity:
    """Cosines stretched so that what the model gives to unrelated texts is 0."""
    floor = embedding.card.similarity_floor

    def similarity(question: str, sentences: Sequence[str]) -> np.ndarray:
        query = embedding.embed([question], "query", call).vectors[0]
        cosines: np.ndarray = embedding.embed(sentences, "document", call).vectors @ query
        return (cosines - floor) / (1.0 - floor)

    return similarity
