"""What fills the three roles of the LLM service, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import get_args

from clients.config import LLM, Model
from clients.errors import ConfigError, ModelNotLoaded, RagqError
from clients.models import ModelInfo, Reload, Reloaded, RoleName, RoleUsage
from services.models import Card, Needs, Shelf, needs
from services.service import Call

from .backends.base import Generator, Reranker
from .backends.maxsim import MaxSim
from .backends.registry import Site, backend
from .choice import Choice
from .embedding import Embedding
from .machine import available_bytes, share_of_cores
from .reranking import Reranking
from .role import Loader, Role
from .room import OPTION, check_room
from .seat import M

MAXSIM = "maxsim"
AnyRole = Role[Embedding] | Role[Reranker] | Role[Generator]


@dataclass(frozen=True, slots=True)
class Roles:
    """The three roles of a worker.

    Attributes:
        threads: processor threads that a model may use.
        served: the roles that this worker takes calls for; the others are never filled.
    """

    embed: Role[Embedding]
    rerank: Role[Reranker]
    generate: Role[Generator]
    threads: int
    served: tuple[RoleName, ...]

    @classmethod
    def of(cls, config: LLM, home: Path) -> Roles:
        """Roles that know how to load what the configuration names; nothing is loaded yet."""
        threads = config.threads or share_of_cores(config.num_workers)
        site = Site(Shelf(home), threads, home / "cache", config.options)
        cache_bytes = config.cache_mb << 20

        def role(name: RoleName, section: Model, load: Callable[[Model], M]) -> Role[M]:
            return Role(
                name, section, Loader(load, partial(_measure, site, name)), Choice(home / "roles", name, section)
            )

        def quiet_but(own: RoleName) -> Callable[[], bool]:
            return lambda: not any(role.is_busy for role in others if role.name != own)

        embed = role("embed", config.embed, partial(_embedding, site, cache_bytes, quiet_but("embed")))
        rerank = role("rerank", config.rerank, partial(_reranker, site, cache_bytes, quiet_but("rerank"), embed))
        generate = role("generate", config.generate, partial(_generator, site))
        others: tuple[AnyRole, ...] = (embed, rerank, generate)
        served: tuple[RoleName, ...] = tuple(config.roles) or get_args(RoleName)
        return cls(embed, rerank, generate, threads, served)

    def all(self) -> list[AnyRole]:
        """The roles that are served."""
        roles: tuple[AnyRole, ...] = (self.embed, self.rerank, self.generate)
        return [role for role in roles if role.name in self.served]

    def info(self, name: RoleName) -> ModelInfo:
        """The model of a role."""
        return next(_info(role) for role in self.all() if role.name == name)

    def infos(self) -> list[ModelInfo]:
        """What ``llm.models`` tells."""
        return [_info(role) for role in self.all()]

    def usages(self) -> list[RoleUsage]:
        """What each role has done."""
        return [_usage(role) for role in self.all()]

    def exchange(self, wish: Reload, call: Call) -> Reloaded:
        """Another model for a role; what ``Role.exchange`` raises."""
        roles: dict[RoleName, AnyRole] = {"embed": self.embed, "rerank": self.rerank, "generate": self.generate}
        role = roles[wish.role]
        previous, took_s = role.exchange(wish, call)
        return Reloaded(_info(role), previous, took_s)

    def close(self) -> None:
        """Let go of the models; the reranker may lean on the embedding model."""
        self.generate.close()
        self.rerank.close()
        self.embed.close()


def _measure(site: Site, role: RoleName, settings: Model, present: Model | None, *, goes: bool) -> int:
    needed = _needs(site, role, settings)
    if needed is None:
        return 0
    freed = _needs(site, role, present) if present and goes else None
    if site.options.get(OPTION) is not False:
        check_room(
            settings, needed.peak_bytes, available_bytes(), beside=present.name if present and not goes else "",
            freed=freed.resident_bytes if freed else 0,
        )  # fmt: skip
    return needed.weight_bytes


def _needs(site: Site, role: RoleName, settings: Model) -> Needs | None:
    """The memory of a model; None for one without files here, or on another device."""
    if settings.url or settings.device not in ("auto", "cpu"):
        return None
    try:
        return needs(site.shelf.locate(settings.name), role, settings.dtype)
    except (RagqError, OSError):
        return None  # loading it tells what is wrong


def _embedding(site: Site, cache_bytes: int, is_quiet: Callable[[], bool], settings: Model) -> Embedding:
    embedder = backend(settings.backend).embedder(settings, site)
    embedder.run(embedder.prepare(["warm"], "query"))
    return Embedding(
        embedder, cache_bytes, dimension=settings.dimension, instruction=settings.instruction, is_quiet=is_quiet
    )


def _reranker(
    site: Site, cache_bytes: int, is_quiet: Callable[[], bool], embed: Role[Embedding], settings: Model
) -> Reranker:
    if settings.name == MAXSIM:
        return _max_sim(embed)
    scorer = backend(settings.backend).scorer(settings, site)
    scorer.run(scorer.prepare([("warm", "warm")]))
    return Reranking(scorer, cache_bytes, instruction=settings.instruction, is_quiet=is_quiet)


def _max_sim(embed: Role[Embedding]) -> Reranker:
    embedding = embed.peek()
    if embedding is None:
        raise ModelNotLoaded(f"'{MAXSIM}' reranks with the embedding model, and that is not there: {embed.status}")
    if embedding.card.kind == "remote":
        raise ConfigError(
            f"'{MAXSIM}' reranks with a vector per token, which a remote embedding model does not give",
            help="set llm.rerank to a remote reranker, or its name to none",
        )
    last = embedding.card

    def card() -> Card:
        now = embed.peek()
        return now.card if now else last

    return MaxSim(embed.lend, card)


def _generator(site: Site, settings: Model) -> Generator:
    return backend(settings.backend).generator(settings, site)


def _info(role: AnyRole) -> ModelInfo:
    settings = role.settings
    info = ModelInfo(role.name, settings.name, settings.backend, role.status)
    held = role.seat.held
    if held is None:
        return info
    model: object = held.model
    card = held.model.card
    info = replace(
        info, name=card.name, max_tokens=settings.max_tokens or card.max_tokens, languages=list(card.languages),
        dtype=_told(model, "dtype", settings.dtype), device=_told(model, "device", settings.device),
        num_bytes=held.num_bytes, revision=card.revision,
    )  # fmt: skip
    if isinstance(model, Embedding):
        return replace(info, dimension=model.dimension, min_dimension=card.min_dimension)
    return info


def _told(model: object, what: str, wished: str) -> str:
    """What a backend says of itself, or what was wished for; empty when that is left to a backend that says nothing."""
    runtime = model.embedder if isinstance(model, Embedding) else getattr(model, "scorer", model)
    said = getattr(runtime, what, None)
    return said if isinstance(said, str) else wished.replace("auto", "")


def _usage(role: AnyRole) -> RoleUsage:
    model, tally = role.peek(), role.seat.tally
    return RoleUsage(
        role.name, model.card.name if model else "", role.seat.num_calls, tally.num_tokens, tally.num_passes,
        tally.num_waiting, tally.num_running, tally.cache_hits, tally.cache_misses, tally.cache_bytes,
    )  # fmt: skip
