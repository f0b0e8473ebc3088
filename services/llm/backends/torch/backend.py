"""Which class of the torch runtime serves a model in a role."""

from __future__ import annotations

from importlib.util import find_spec

from clients.config import Model
from clients.errors import ConfigError, MissingExtra
from services.llm.backends.base import Embedder, Generator, Scorer
from services.llm.backends.registry import Site
from services.models import Shelved


class Torch:
    """Models in safetensors on a GPU, or on the processor as the exact reference."""

    def embedder(self, settings: Model, site: Site) -> Embedder:
        """A BERT-like encoder, or a causal model with last-token pooling."""
        _check_installed()
        from .device import place_of
        from .embedder import TorchEmbedder

        return TorchEmbedder(
            _located(settings, site), place_of(settings, site.threads),
            max_tokens=settings.max_tokens, instruction=settings.instruction,
        )  # fmt: skip

    def scorer(self, settings: Model, site: Site) -> Scorer:
        """A cross-encoder, or a causal model that says yes or no."""
        _check_installed()
        from .cross_encoder import TorchCrossEncoder
        from .device import place_of
        from .scorer import YesNoScorer

        model, place = _located(settings, site), place_of(settings, site.threads)
        if not model.card.head:
            raise ConfigError(
                f"llm.rerank.name: '{settings.name}' cannot score pairs",
                help="take a cross-encoder, a model such as Qwen3-Reranker, or maxsim",
            )
        if model.card.head == "logit":
            return TorchCrossEncoder(model, place, max_tokens=settings.max_tokens)
        return YesNoScorer(model, place, max_tokens=settings.max_tokens, instruction=settings.instruction)

    def generator(self, settings: Model, site: Site) -> Generator:
        """A causal model that chats; the option ``cuda_graphs`` makes its steps cheaper to start on a GPU."""
        _check_installed()
        from .device import place_of
        from .generator import TorchGenerator

        model = _located(settings, site)
        if model.card.kind != "decoder" or "generate" not in model.card.roles:
            raise ConfigError(f"llm.generate.name: '{settings.name}' does not write", help="take a chat model")
        return TorchGenerator(
            model, place_of(settings, site.threads),
            max_tokens=settings.max_tokens, has_graphs=settings.options.get("cuda_graphs") is True,
        )  # fmt: skip


BACKEND = Torch()


def _check_installed() -> None:
    if find_spec("torch") is None:
        raise MissingExtra("torch", "torch")


def _located(settings: Model, site: Site) -> Shelved:
    model = site.shelf.locate(settings.name)
    if model.card.kind not in ("encoder", "decoder"):
        raise ConfigError(
            f"the torch backend reads safetensors, and '{settings.name}' is a {model.card.kind} model",
            help="backend: openvino reads GGUF files",
        )
    return model
