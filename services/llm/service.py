"""The LLM service: embeds, reranks, writes and extracts with the models of its roles."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Generator as Stream
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, ClassVar

import numpy as np

from clients.config import Config
from clients.errors import ModelNotLoaded
from clients.llm import (
    EMBED,
    EXTRACT,
    GENERATE,
    MODELS,
    RELOAD,
    RERANK,
    SCORE,
    USAGE,
    Embed,
    Embeddings,
    Extract,
    Extraction,
    Generate,
    Generation,
    Models,
    Reload,
    Reloaded,
    Rerank,
    Score,
    Scores,
    Token,
    WorkerUsage,
)
from clients.memory import resident_bytes
from clients.models import MODEL_OF, ModelInfo, RoleName
from clients.wire import Method, Nothing
from services.service import Call, Handler, Service, serves

from .checks import check_embed, check_extract, check_generate, check_rerank, check_score
from .embedding import Embedding
from .extract import Similarity, extract
from .machine import available_bytes
from .roles import AnyRole, Roles

# Threads of several processes share the cores: they must sleep, not spin, while they wait.
QUIET = {"OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false", "OPENVINO_TELEMETRY": "0"}

OF_ROLE: dict[RoleName, tuple[Method[Any, Any, Any], ...]] = {
    "embed": (EMBED, EXTRACT), "rerank": (RERANK, SCORE), "generate": (GENERATE,),
}  # fmt: skip


class LLMService(Service):
    """Serves the methods of ``clients.llm``."""

    name: ClassVar[str] = "llm"
    slots: ClassVar[int] = 16

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.roles = Roles.of(config.llm, config.home)

    def handlers(self) -> dict[Method[Any, Any, Any], Handler]:
        """The methods of the roles that this worker serves, and what each worker tells of itself."""
        absent = {method for role, methods in OF_ROLE.items() if role not in self.roles.served for method in methods}
        found = {method: handler for method, handler in super().handlers().items() if method not in absent}
        for role in self.roles.served:
            found[MODEL_OF[role]] = partial(self._model, role)
            found[RELOAD[role]] = self._reload
        return found

    def start(self) -> None:
        """Load the small models at once and the writer behind them, so that searching works first.

        A model behind a server may be long in coming, and must not keep the others waiting.
        """
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        roles: tuple[AnyRole, ...] = (self.roles.embed, self.roles.rerank)
        for role in roles:
            if role.name not in self.roles.served:
                continue
            if role.settings.url:
                role.fill_later()
            else:
                role.fill()
        if "generate" in self.roles.served:
            self.roles.generate.fill_later()

    def stop(self) -> None:
        """Let go of the models."""
        self.roles.close()

    def note(self) -> str:
        """Which model fills each role; asked twice a second, it is also when an idle worker follows the others."""
        roles = self.roles.all()
        for role in roles:
            role.follow()
        self.roles.beside.sweep()
        beside = [f"beside {embedding.card.name}" for embedding in self.roles.beside.loaded]
        return ", ".join([*map(_note, roles), *beside])

    @serves(EMBED)
    def embed(self, request: Embed, call: Call) -> Embeddings:
        """Vectors in the order of the texts."""
        check_embed(request)
        with self.roles.lend_embedding(call, request.model) as embedding:
            made = embedding.embed(
                request.texts, request.role, call, instruction=request.instruction, dimension=request.dimension
            )
            return Embeddings(made.vectors, embedding.card.name, made.num_tokens, made.truncated)

    @serves(RERANK)
    def rerank(self, request: Rerank, call: Call) -> Scores:
        """Scores in the order of the documents."""
        check_rerank(request)
        pairs = [(request.query, document) for document in request.documents]
        with self.roles.rerank.lend(call, request.model) as reranker:
            return reranker.score(pairs, call, instruction=request.instruction)

    @serves(SCORE)
    def score(self, request: Score, call: Call) -> Scores:
        """Scores in the order of the pairs."""
        check_score(request)
        pairs = list(zip(request.queries, request.documents, strict=True))
        with self.roles.rerank.lend(call, request.model) as reranker:
            return reranker.score(pairs, call, instruction=request.instruction)

    @serves(GENERATE)
    def generate(self, request: Generate, call: Call) -> Stream[Token, None, Generation]:
        """Tokens as they become final, then the whole."""
        check_generate(request)
        with self.roles.generate.lend(call, request.model) as generator:
            written = yield from generator.generate(request, call)
        usage = written.usage
        self.roles.generate.seat.count(tokens=usage.prompt_tokens - usage.cached_tokens + usage.completion_tokens)
        return written

    @serves(EXTRACT)
    def extract(self, request: Extract, call: Call) -> Extraction:
        """The best sentences; by words alone while there is no embedding model."""
        check_extract(request)
        with ExitStack() as loan:
            try:
                embedding = loan.enter_context(self.roles.embed.lend(call))
            except ModelNotLoaded:
                return extract(request, None)
            return extract(request, _similarity(embedding, call))

    @serves(MODELS)
    def models(self, request: Nothing, call: Call) -> Models:  # noqa: ARG002 - the shape of every handler
        """The model of every role."""
        return Models(self.roles.infos())

    def _model(self, role: RoleName, _request: Nothing, _call: Call) -> ModelInfo:
        """The model of one role."""
        return self.roles.info(role)

    def _reload(self, request: Reload, call: Call) -> Reloaded:
        """Another model for a role; the present one serves until the new one has worked."""
        return self.roles.exchange(request, call)

    @serves(USAGE)
    def usage(self, request: Nothing, call: Call) -> WorkerUsage:  # noqa: ARG002 - the shape of every handler
        """What this worker has done, and what it takes of its machine."""
        return WorkerUsage(
            socket.gethostname(), os.getpid(), self.roles.threads, resident_bytes(), available_bytes(),
            time.process_time(), self.roles.usages(),
        )  # fmt: skip


def _note(role: AnyRole) -> str:
    model = role.peek()
    states = [role.status.splitlines()[0], *([role.remark] if role.remark else [])]
    return f"{role.name} {model.card.name if model else role.settings.name} ({'; '.join(states)})"


def _similarity(embedding: Embedding, call: Call) -> Similarity:
    """Cosines stretched so that what the model gives to unrelated texts is 0."""
    floor = embedding.card.similarity_floor

    def similarity(question: str, sentences: Sequence[str]) -> np.ndarray:
        query = embedding.embed([question], "query", call).vectors[0]
        cosines: np.ndarray = embedding.embed(sentences, "document", call).vectors @ query
        return (cosines - floor) / (1.0 - floor)

    return similarity
