"""Which compiled model serves a role on SOPHON devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from clients.config import Model
from clients.errors import ConfigError, RagqError
from services.llm.backends.base import Embedder, Generator, Scorer
from services.llm.backends.registry import Site
from services.models import Shelved
from services.models.bundle import BUNDLE, Bundle, Task, read_bundle

from .chat import SophonChat
from .embedder import SophonEmbedder
from .older import OlderPasses
from .options import read_options
from .passes import Outputs, Passes
from .recall import Recalls
from .scorer import SophonYesNo
from .writer import SophonWriter

COMPILE = "python -m compile.convert makes one of a checkpoint; docs/sophon.md"


T = TypeVar("T")


class Sophon:
    """Models that were compiled for the BM1684X."""

    def embedder(self, settings: Model, site: Site) -> Embedder:
        """A Qwen3-Embedding or its like."""

        def made(model: Shelved, bundle: Bundle, passes: Outputs) -> Embedder:
            return SophonEmbedder(model, bundle, passes, max_tokens=settings.max_tokens)

        return _open(settings, site, "embed", "embed", made)

    def scorer(self, settings: Model, site: Site) -> Scorer:
        """A Qwen3-Reranker or its like."""

        def made(model: Shelved, bundle: Bundle, passes: Outputs) -> Scorer:
            return SophonYesNo(model, bundle, passes, max_tokens=settings.max_tokens)

        return _open(settings, site, "rerank", "rerank", made)

    def generator(self, settings: Model, site: Site) -> Generator:
        """A model that chats; or one that tells the next token, reading all before it each time."""
        options = read_options(settings, "generate")
        model, bundle = _compiled(settings, site, "generate", ("chat", "next"))
        bmodel, home = model.path / bundle.file, site.cache.parent
        if bundle.task == "next":
            passes = Passes(bundle, bmodel, options, home)
            return _made(passes, lambda: SophonWriter(model, bundle, passes, max_tokens=settings.max_tokens))
        recalls = Recalls(bundle, bmodel, options, home)
        return _made(recalls, lambda: SophonChat(model, bundle, recalls, max_tokens=settings.max_tokens))


def _open(settings: Model, site: Site, role: str, task: Task, made: Callable[[Shelved, Bundle, Outputs], T]) -> T:
    """A model of that task on its devices."""
    options = read_options(settings, role)
    model, bundle = _compiled(settings, site, role, (task,))
    kind = OlderPasses if bundle.layout == "blocks" else Passes
    passes = kind(bundle, model.path / bundle.file, options, site.cache.parent)
    return _made(passes, lambda: made(model, bundle, passes))


def _compiled(settings: Model, site: Site, role: str, tasks: Sequence[Task]) -> tuple[Shelved, Bundle]:
    """What the settings name; ConfigError where it is not compiled, or for another task."""
    model = site.shelf.locate(settings.name)
    if not (model.path / BUNDLE).is_file():
        raise ConfigError(f"llm.{role}.name: '{settings.name}' is not compiled for SOPHON", help=COMPILE)
    bundle = read_bundle(model.path)
    if bundle.task not in tasks:
        raise ConfigError(
            f"llm.{role}.name: '{settings.name}' was compiled for the task {bundle.task}, not {' or '.join(tasks)}",
            help=COMPILE,
        )
    return model, bundle


def _made(held: Outputs | Recalls, make: Callable[[], T]) -> T:
    """A model on its devices; they are let go of when it cannot be made."""
    try:
        return make()
    except RagqError:
        held.close()
        raise


BACKEND = Sophon()
