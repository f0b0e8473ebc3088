"""Models behind any server that speaks OpenAI's HTTP: vLLM, SGLang, llama.cpp, Ollama, TEI, another ragq."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from clients.config import Model
from clients.errors import ConfigError, ModelNotLoaded, RagqError
from clients.models import RoleName
from services.llm.backends.base import Embedder, Generator, Scorer
from services.llm.backends.registry import Site
from services.models import Card

from .address import parse_address, read_key
from .embedder import RemoteEmbedder
from .generator import RemoteGenerator
from .options import Options, read_options
from .probe import Found, find_model
from .scorer import RemoteScorer
from .server import Server

MAX_TIMEOUT_S = 86400.0


class Remote:
    """Asks a server; each function first finds out whether it can do what is wanted.

    A server that is away, or cannot, is ``ModelNotLoaded``, which is tried again at the next call.
    """

    def embedder(self, settings: Model, site: Site) -> Embedder:
        """Vectors."""
        server, options = _reach(settings, "embed")
        with _tried(server):
            found = find_model(server, settings.name)
            card = _card(settings, options, found, "embed")
            embedder = RemoteEmbedder(server, card, options, options.server or found.server, settings.dimension)
            dimension = embedder.measure()
            if settings.dimension > dimension:
                raise ModelNotLoaded(
                    f"{server.address}: '{found.name}' gives vectors of {dimension} numbers",
                    help=f"llm.embed.dimension: at most {dimension}",
                )
            embedder.card = _measured(card, dimension)
            return embedder

    def scorer(self, settings: Model, site: Site) -> Scorer:
        """Scores."""
        server, options = _reach(settings, "rerank")
        with _tried(server):
            found = find_model(server, settings.name)
            card = _card(settings, options, found, "rerank")
            return RemoteScorer(server, card, options, options.server or found.server)

    def generator(self, settings: Model, site: Site) -> Generator:
        """Text."""
        server, options = _reach(settings, "generate")
        with _tried(server):
            found = find_model(server, settings.name)
            card = _card(settings, options, found, "generate")
            generator = RemoteGenerator(server, card, options, options.server or found.server)
            generator.check()
            return generator


def _reach(settings: Model, role: RoleName) -> tuple[Server, Options]:
    """The server that ragq.yml names.

    Raises:
        ConfigError: what it says of it makes no sense.
    """
    place = f"llm.{role}"
    address = parse_address(settings.url, f"{place}.url")
    if not (0 < settings.timeout_s <= MAX_TIMEOUT_S and math.isfinite(settings.timeout_s)):
        raise ConfigError(f"{place}.timeout_s is {settings.timeout_s:g}; allowed are seconds above 0, up to a day")
    server = Server(address, read_key(settings.api_key, f"{place}.api_key"), settings.timeout_s)
    return server, read_options(settings, role)


@contextmanager
def _tried(server: Server) -> Iterator[None]:
    """Whatever stands in the way may be gone at the next try."""
    try:
        yield
    except ConfigError:
        server.close()
        raise
    except RagqError as error:
        server.close()
        raise ModelNotLoaded(error.message, help=error.help) from error


def _card(settings: Model, options: Options, found: Found, role: RoleName) -> Card:
    return Card(
        found.name, "remote", (role,), max_tokens=settings.max_tokens or found.max_tokens,
        min_dimension=options.min_dimension, instruction=settings.instruction,
        query_prefix=options.query_prefix, document_prefix=options.document_prefix,
        similarity_floor=options.similarity_floor, source=settings.url, revision=_revision(found.name, found.revision),
    )  # fmt: skip


def _measured(card: Card, dimension: int) -> Card:
    prefixes = (card.query_prefix, card.document_prefix)
    return replace(card, dimension=dimension, revision=_revision(card.revision, str(dimension), *prefixes))


def _revision(*parts: str) -> str:
    """What tells two models apart as far as it can be known from outside."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


BACKEND = Remote()
