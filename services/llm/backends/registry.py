"""Which runtime serves a model, by the name that ragq.yml gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Protocol

from clients.config import Model
from clients.errors import ConfigError
from clients.reading import nearest
from services.models import Shelf

from .base import Embedder, Generator, Scorer

MODULES = {
    "openvino": "services.llm.backends.openvino.backend",
    "torch": "services.llm.backends.torch.backend",
    "sophon": "services.llm.backends.sophon.backend",
    "remote": "services.llm.backends.remote.backend",
    "toy": "services.llm.backends.toy",
}


@dataclass(frozen=True, slots=True)
class Site:
    """What a worker offers its backends.

    Attributes:
        threads: processor threads that a model may use.
        cache: directory for what takes long to compute from a model and can be thrown away.
        options: ``llm.options`` of ragq.yml.
    """

    shelf: Shelf
    threads: int
    cache: Path
    options: Mapping[str, object] = field(default_factory=dict)


class Backend(Protocol):
    """A runtime; each function loads a model, which takes as long as it takes.

    Each raises ConfigError for a model that the runtime cannot serve in that role, ModelNotLoaded when the
    model is not here, BadRequest for broken files, and TooLarge when it does not fit.
    """

    def embedder(self, settings: Model, site: Site) -> Embedder:
        """A model for vectors."""
        ...

    def scorer(self, settings: Model, site: Site) -> Scorer:
        """A model that reads a query and a document together."""
        ...

    def generator(self, settings: Model, site: Site) -> Generator:
        """A model that writes."""
        ...


def backend(name: str) -> Backend:
    """The runtime of that name.

    Raises:
        ConfigError: there is none; names the nearest one.
        MissingExtra: it is there, and what it is built on is not installed.
    """
    if name not in MODULES:
        raise ConfigError(f"no backend '{name}'", help=nearest(name, MODULES))
    found: Backend = import_module(MODULES[name]).BACKEND
    return found
