"""Which store for vectors does a configuration mean, and where is it?"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from clients.config import Config, Index
from clients.errors import ConfigError

from .catalog import Catalog
from .sharing import SharedStore
from .stores.base import VectorStore
from .stores.chroma import ChromaStore
from .stores.coded import CodedStore
from .stores.exact import ExactStore
from .stores.exchange import Exchange
from .stores.faiss import FaissStore
from .stores.memory import MemoryStore
from .stores.portions import Precedence
from .stores.server import DEFAULT_DATABASE, ChromaServer
from .stores.whereabouts import CURE, Whereabouts


def open_store(config: Config, catalog: Catalog, precedence: Precedence) -> tuple[VectorStore, ChromaServer | None]:
    """The store, open; and the server that it asks, if it asks one. Its writing gives way to searches."""
    server = server_of(config, catalog) if config.index.store == "chroma-server" else None
    store = SharedStore(catalog, server) if server else _embedded(config, precedence)
    store.open()
    return store, server


def _embedded(config: Config, precedence: Precedence) -> VectorStore:
    if config.index.store == "chroma":
        coded = CodedStore(ChromaStore(directory_of(config), precedence), max_bytes=config.index.codes_mb << 20)
        return ExactStore(coded)
    return FaissStore(config.home / "faiss") if config.index.store == "faiss" else MemoryStore()


def directory_of(config: Config) -> Path:
    """Where Chroma's vectors lie, when they lie on this machine."""
    path = config.index.chroma_path
    return Path(path).expanduser().resolve() if path else config.home / "chroma"


def server_of(config: Config, catalog: Catalog) -> ChromaServer:
    """Chroma's server: one of our own, which has our vectors only, or one elsewhere, which may have others' too."""
    index = config.index
    if index.runs_store:
        return ChromaServer(Exchange(Whereabouts(config.home).url, cure=CURE), DEFAULT_DATABASE, _filled(catalog))
    cure = f"start the server at {index.chroma_url}, or correct index.chroma_url"
    exchange = Exchange(lambda: index.chroma_url, _token(index), cure)
    return ChromaServer(exchange, index.chroma_database or catalog.changes.name, _filled(catalog))


def _filled(catalog: Catalog) -> Callable[[], str]:
    return lambda: catalog.changes.mark


def _token(index: Index) -> str:
    """The token itself; ``$NAME`` reads the environment."""
    if not index.chroma_token.startswith("$"):
        return index.chroma_token
    name = index.chroma_token[1:]
    if not (value := os.environ.get(name, "")):
        raise ConfigError(f"index.chroma_token: the environment variable {name} is not set", help=f"export {name}=...")
    return value
