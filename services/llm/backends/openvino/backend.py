"""Which class of the OpenVINO runtime serves a model in a role."""

from __future__ import annotations

from clients.config import Model
from clients.errors import ConfigError
from services.llm.backends.base import Embedder, Generator, Scorer
from services.llm.backends.registry import Site


class OpenVINO:
    """Models on the processor, from safetensors or GGUF."""

    def embedder(self, settings: Model, site: Site) -> Embedder:
        """A BERT or XLM-R encoder."""
        from .embedder import OpenVINOEmbedder

        return OpenVINOEmbedder(
            site.shelf.locate(settings.name),
            dtype=settings.dtype,
            threads=site.threads,
            max_tokens=settings.max_tokens,
        )

    def scorer(self, settings: Model, site: Site) -> Scorer:
        """None yet beside MaxSim, which needs no model of its own."""
        raise ConfigError(
            f"llm.rerank.name: the openvino backend has no reranker '{settings.name}'", help="known: maxsim, none"
        )

    def generator(self, settings: Model, site: Site) -> Generator:
        """A chat model in a GGUF file."""
        from .chat import OpenVINOChat

        return OpenVINOChat(site.shelf.locate(settings.name), threads=site.threads, max_tokens=settings.max_tokens)


BACKEND = OpenVINO()
