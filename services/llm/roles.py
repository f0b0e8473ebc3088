"""Which model fills each role of the LLM service, and why not when none does."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, Protocol, TypeVar

from clients.config import LLM, Model
from clients.errors import ConfigError, ModelNotLoaded, NotFound, RagqError
from clients.llm import ModelInfo
from services.models import Card, Shelf
from services.service import Call

from .backends.base import Generator, Reranker
from .backends.maxsim import MaxSim
from .backends.registry import Site, backend
from .embedding import Embedding
from .reranking import Reranking

log = logging.getLogger(__name__)

CHECK_S = 0.1
NONE = "none"
MAXSIM = "maxsim"
Name = Literal["embed", "rerank", "generate"]


class Carded(Protocol):
    """What fills a role says what it is."""

    @property
    def card(self) -> Card:
        """The model's description."""
        ...


M = TypeVar("M", bound=Carded)


class Role(Generic[M]):
    """A role, its model once it is loaded, and what stands in the way until then.

    A model that was missing is looked for again at each call, so a pull needs no restart.
    """

    def __init__(self, name: Name, settings: Model, load: Callable[[], M]) -> None:
        self.name = name
        self.settings = settings
        self._load = load
        self._changed = threading.Condition()
        self._model: M | None = None
        self._error: RagqError | None = None
        self._is_loading = False

    def fill(self) -> None:
        """Load the model; a failure becomes the role's status."""
        with self._changed:
            if self.settings.name == NONE or self._model is not None or self._is_loading:
                return
            self._is_loading, self._error = True, None
        model, error = None, None
        try:
            model = self._load()
        except RagqError as failure:
            error = failure
            log.warning("the role %s has no model: %s", self.name, failure.message)
        except Exception as failure:  # a runtime that is broken must not take the other roles with it
            error = ModelNotLoaded(f"loading '{self.settings.name}' failed: {failure}", help="ragq doctor")
            log.exception("loading %s failed", self.settings.name)
        with self._changed:
            self._model, self._error, self._is_loading = model, error, False
            self._changed.notify_all()

    def fill_later(self) -> None:
        """Load in a thread of its own; calls that come before wait for it."""
        threading.Thread(target=self.fill, name=f"load-{self.name}", daemon=True).start()

    def get(self, call: Call, wanted: str = "") -> M:
        """The model; waits while it is being loaded.

        Raises:
            ModelNotLoaded: there is none; says why and what to do.
            NotFound: ``wanted`` names another one than the loaded one.
        """
        if self.settings.name == NONE:
            raise ModelNotLoaded(
                f"this service has no model to {self.name}", help=f"set llm.{self.name}.name in ragq.yml"
            )
        self._await(call)
        if isinstance(self._error, ModelNotLoaded):
            self.fill()
        model = self._model
        if model is None:
            raise self._failure()
        if wanted and wanted not in (model.card.name, self.settings.name):
            raise NotFound(f"no model '{wanted}' is loaded to {self.name}", help=f"loaded: {model.card.name}")
        return model

    def peek(self) -> M | None:
        """The model if it is loaded."""
        return self._model

    @property
    def status(self) -> str:
        """``ready``, ``loading``, or why not."""
        if self.settings.name == NONE:
            return "off"
        if self._model is not None:
            return "ready"
        return str(self._error) if self._error else "loading"

    def _await(self, call: Call) -> None:
        with self._changed:
            while self._model is None and self._error is None:
                call.check()
                self._changed.wait(CHECK_S)

    def _failure(self) -> ModelNotLoaded:
        error = self._error
        assert error is not None
        return ModelNotLoaded(f"the role '{self.name}' has no model: {error.message}", help=error.help)


@dataclass(frozen=True, slots=True)
class Roles:
    """The three roles of a worker."""

    embed: Role[Embedding]
    rerank: Role[Reranker]
    generate: Role[Generator]

    @classmethod
    def of(cls, config: LLM, home: Path) -> Roles:
        """Roles that know how to load what the configuration names; nothing is loaded yet."""
        site = Site(Shelf(home), config.threads or max(1, num_cores() - 1), home / "cache", config.options)
        cache_bytes = config.cache_mb << 20
        embed = Role("embed", config.embed, lambda: _embedding(config.embed, site, cache_bytes))
        rerank = Role("rerank", config.rerank, lambda: _reranker(config.rerank, site, cache_bytes, embed))
        generate = Role("generate", config.generate, lambda: _generator(config.generate, site))
        return cls(embed, rerank, generate)

    def infos(self) -> list[ModelInfo]:
        """What ``llm.models`` tells."""
        return [_info(self.embed), _info(self.rerank), _info(self.generate)]

    def close(self) -> None:
        """Let go of the models."""
        if (generator := self.generate.peek()) is not None:
            generator.close()
        if (reranker := self.rerank.peek()) is not None:
            reranker.close()
        if (embedding := self.embed.peek()) is not None:
            embedding.close()


def num_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _embedding(settings: Model, site: Site, cache_bytes: int) -> Embedding:
    embedder = backend(settings.backend).embedder(settings, site)
    embedder.run(embedder.prepare(["warm"], "query"))
    return Embedding(embedder, cache_bytes, dimension=settings.dimension, instruction=settings.instruction)


def _reranker(settings: Model, site: Site, cache_bytes: int, embed: Role[Embedding]) -> Reranker:
    if settings.name == MAXSIM:
        return _max_sim(embed)
    scorer = backend(settings.backend).scorer(settings, site)
    scorer.run(scorer.prepare([("warm", "warm")]))
    return Reranking(scorer, cache_bytes, instruction=settings.instruction)


def _max_sim(embed: Role[Embedding]) -> Reranker:
    embedding = embed.peek()
    if embedding is None:
        raise ModelNotLoaded(f"'{MAXSIM}' reranks with the embedding model, and that is not there: {embed.status}")
    if embedding.card.kind == "remote":
        raise ConfigError(
            f"'{MAXSIM}' reranks with a vector per token, which a remote embedding model does not give",
            help="set llm.rerank to a remote reranker, or its name to none",
        )
    return MaxSim(embedding, embedding.card)


def _generator(settings: Model, site: Site) -> Generator:
    return backend(settings.backend).generator(settings, site)


def _info(role: Role[M]) -> ModelInfo:
    model, settings = role.peek(), role.settings
    if model is None:
        return ModelInfo(role.name, settings.name, settings.backend, role.status)
    card = model.card
    dimension = settings.dimension or card.dimension if role.name == "embed" else 0
    return ModelInfo(
        role.name,
        card.name,
        settings.backend,
        role.status,
        dimension,
        settings.max_tokens or card.max_tokens,
        list(card.languages),
        card.min_dimension if role.name == "embed" else 0,
        settings.dtype,
        settings.device,
        revision=card.revision,
    )
