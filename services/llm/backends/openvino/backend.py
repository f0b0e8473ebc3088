"""Which class of the OpenVINO runtime serves a model in a role."""

from __future__ import annotations

from clients.config import Model
from clients.errors import ConfigError
from services.llm.backends.base import Embedder, Generator, Scorer
from services.llm.backends.registry import Site
from services.models import Card, Shelved


class OpenVINO:
    """Models on the processor, from safetensors or GGUF."""

    def embedder(self, settings: Model, site: Site) -> Embedder:
        """An encoder, or a causal model such as Qwen3-Embedding."""
        model = _located(settings, site)
        if model.card.kind == "decoder":
            from .causal_embedder import OpenVINOCausalEmbedder

            return OpenVINOCausalEmbedder(
                model, dtype=settings.dtype, threads=site.threads, max_tokens=settings.max_tokens
            )
        from .embedder import OpenVINOEmbedder

        return OpenVINOEmbedder(model, dtype=settings.dtype, threads=site.threads, max_tokens=settings.max_tokens)

    def scorer(self, settings: Model, site: Site) -> Scorer:
        """A cross-encoder, or a causal model that says yes or no, such as Qwen3-Reranker."""
        model = _located(settings, site)
        if model.card.kind == "decoder" and model.card.head:
            from .yes_no_scorer import OpenVINOYesNo

            return OpenVINOYesNo(model, dtype=settings.dtype, threads=site.threads, max_tokens=settings.max_tokens)
        if model.card.head != "logit":
            raise ConfigError(
                f"llm.rerank.name: '{settings.name}' is no reranker", help="ragq models list tells which are; or maxsim"
            )
        from .cross_encoder import OpenVINOCrossEncoder

        return OpenVINOCrossEncoder(model, dtype=settings.dtype, threads=site.threads, max_tokens=settings.max_tokens)

    def generator(self, settings: Model, site: Site) -> Generator:
        """A chat model in a GGUF file."""
        from .chat import OpenVINOChat

        model = _located(settings, site)
        if not model.card.chat_weights.endswith(".gguf"):
            raise ConfigError(
                f"llm.generate.name: '{settings.name}' has no GGUF file, which the openvino backend writes with",
                help=_way_out(model.card),
            )
        is_any = settings.options.get("any_tokenizer") is True
        return OpenVINOChat(
            model, threads=site.threads, max_tokens=settings.max_tokens, cache=site.cache, any_tokenizer=is_any
        )


def _located(settings: Model, site: Site) -> Shelved:
    model = site.shelf.locate(settings.name)
    if model.card.kind == "bmodel":
        raise ConfigError(f"'{settings.name}' is compiled for a SOPHON device", help="backend: sophon serves it")
    return model


def _way_out(card: Card) -> str:
    """What makes a model without a GGUF file write."""
    if "generate" not in card.roles:
        return "ragq models list tells which models generate"
    return "backend: torch takes it as it is; ragq models add with --dtype int8 writes one beside it"


BACKEND = OpenVINO()
