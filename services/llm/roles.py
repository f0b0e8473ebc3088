"""What fills the three roles of the LLM service, and what it costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import get_args

from clients.config import LLM, Model
from clients.errors import BadRequest, ConfigError, ModelNotLoaded, NotFound, RagqError
from clients.models import ModelInfo, Reload, Reloaded, RoleName, RoleUsage
from services.models import Card, Needs, Shelf, needs
from services.service import Call

from .backends.base import Generator, Reranker
from .backends.maxsim import MaxSim
from .backends.registry import Site, backend
from .backends.toy import is_toy
from .beside import Beside
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
        beside: embedding models beside the one of the role, for calls that name them.
        threads: processor threads that a model may use.
        served: the roles that this worker takes calls for; the others are never filled.
    """

    embed: Role[Embedding]
    rerank: Role[Reranker]
    generate: Role[Generator]
    beside: Beside
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
            return lambda: not any(role.is_busy for role in others if role.name != own) and not beside.is_busy

        def is_quiet() -> bool:
            return not any(role.is_busy for role in others)

        embed = role("embed", config.embed, partial(_embedding, site, cache_bytes, quiet_but("embed")))
        rerank = role("rerank", config.rerank, partial(_reranker, site, cache_bytes, quiet_but("rerank"), embed))
        generate = role("generate", config.generate, partial(_generator, site))
        others: tuple[AnyRole, ...] = (embed, rerank, generate)
        loader = Loader(partial(_embedding, site, cache_bytes, is_quiet), partial(_measure, site, "embed"))
        beside = Beside(partial(_settings_beside, site, config.embed), loader, config.side_models, time.monotonic)
        served: tuple[RoleName, ...] = tuple(config.roles) or get_args(RoleName)
        return cls(embed, rerank, generate, beside, threads, served)

    @contextmanager
    def lend_embedding(self, call: Call, wanted: str = "") -> Iterator[Embedding]:
        """The embedding model of a name, be it the present one or one beside it; what `Role.lend` raises.

        Raises:
            NotFound: there is no such embedding model on this machine.
        """
        with ExitStack() as loan:
            try:
                embedding = self._present(call, wanted, loan)
            except NotFound:  # it was exchanged just now
                embedding = None
            yield embedding or loan.enter_context(self.beside.lend(wanted, call))

    def _present(self, call: Call, wanted: str, loan: ExitStack) -> Embedding | None:
        """The model of the role; None when it is another one, or none while there is to be another one."""
        present = self.embed.peek()
        names = (self.embed.settings.name, *([present.card.name] if present else []))
        return loan.enter_context(self.embed.lend(call, wanted)) if not wanted or wanted in names else None

    def all(self) -> list[AnyRole]:
        """The roles that are served."""
        roles: tuple[AnyRole, ...] = (self.embed, self.rerank, self.generate)
        return [role for role in roles if role.name in self.served]

    def info(self, name: RoleName) -> ModelInfo:
        """The model of a role."""
        return next(info for info in self.infos() if info.role == name)

    def infos(self) -> list[ModelInfo]:
        """What ``llm.models`` tells."""
        beside = [embedding.card.name for embedding in self.beside.loaded]
        return [replace(_info(role), beside=beside if role.name == "embed" else []) for role in self.all()]

    def usages(self) -> list[RoleUsage]:
        """What each role has done."""
        return [self._usage(role) for role in self.all()]

    def _usage(self, role: AnyRole) -> RoleUsage:
        model, tally, num_calls = role.peek(), role.seat.tally, role.seat.num_calls
        if role.name == "embed":
            tally, num_calls = tally + self.beside.tally, num_calls + self.beside.num_calls
        return RoleUsage(
            role.name, model.card.name if model else "", num_calls, tally.num_tokens, tally.num_passes,
            tally.num_waiting, tally.num_running, tally.cache_hits, tally.cache_misses, tally.cache_bytes,
        )  # fmt: skip

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
        self.beside.close()
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


def _settings_beside(site: Site, section: Model, name: str) -> Model:
    """How to load an embedding model that a call names: as ragq.yml says if that means this one, else by its card.

    Raises:
        NotFound: nobody has it; says how to get it.
    """
    if _name_of(site, section) == name:
        return section
    own = replace(section, name=name, max_tokens=0, dimension=0, instruction="")
    try:
        site.shelf.path(name)  # not elsewhere on the disk: names come from callers
        embeds = "embed" in site.shelf.locate(name).card.roles
    except (BadRequest, ModelNotLoaded) as error:
        if section.url or (section.backend == "toy" and is_toy(name)):
            return own
        raise NotFound(f"no model '{name}' is on this machine to embed", help=error.help) from error
    if not embeds:
        raise NotFound(f"no model '{name}' embeds: the one of that name does something else")
    return Model(name, dtype=section.dtype) if section.url or section.backend == "toy" else own


def _name_of(site: Site, section: Model) -> str:
    """What the model of a section calls itself; one that is named by its path has a name of its own too."""
    try:
        return section.name if section.url else site.shelf.locate(section.name).card.name
    except (RagqError, OSError):
        return section.name


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
    if embedding.card.kind in ("remote", "bmodel"):
        where = "remote" if embedding.card.kind == "remote" else "compiled"
        raise ConfigError(
            f"'{MAXSIM}' reranks with a vector per token, which a {where} embedding model does not give",
            help=f"set llm.rerank to a {where} reranker, or its name to none",
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
