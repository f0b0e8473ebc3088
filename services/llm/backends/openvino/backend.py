"""Which class of the OpenVINO runtime serves a model in a role."""

from __future__ import annotations

from clients.config import Model
from clients.errors import ConfigError
from services.llm.backends.base import Embedder, Generator, Scorer
from services.llm.backends.registry import Site


class OpenVINO:
    """Models on the processor, from safetensors or GGUF."""

    def embedder(self, settings: Model, site: Site) -> Embedder:
        """An encoder, or a causal model such as Qwen3-Embedding."""
        model = site.shelf.locate(settings.name)
        if model.card.kind == "decoder":
            from .causal_embedder import OpenVINOCausalEmbedder

            return OpenVINOCausalEmbedder(
                model, dtype=settings.dtype, threads=site.threads, max_tokens=settings.max_tokens
            )
        from .embedder import OpenVINOEmbedder

        return OpenVINOEmbedder(model, dtype=settings.dtype, threads=site.threads, max_tokens=settings.max_tokens)

    def scorer(self, settings: Model, site: Site) -> Scorer:
        """A cross-encoder, or a causal model that says yes or no, such as Qwen3-Reranker."""
        model = site.shelf.locate(settings.name)
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

        model = site.shelf.locate(settings.name)
        return OpenVINOChat(model, threads=site.threads, max_tokens=settings.max_tokens, cache=site.cache)


BACKEND = OpenVINO()
