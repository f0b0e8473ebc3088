"""Which models does a profile stand for?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .config import LLM, Model

# The models to embed, to rerank and to generate with.
PROFILES: Mapping[str, tuple[str, str, str]] = {
    "embedded": ("multilingual-e5-small", "maxsim", "smollm2-135m-instruct"),
    "embedded-light": ("all-minilm-l6-v2", "maxsim", "smollm2-135m-instruct"),
    "better": ("multilingual-e5-small", "maxsim", "qwen2.5-coder-0.5b-instruct"),
    "qwen3": ("qwen3-embedding-0.6b", "qwen3-reranker-0.6b", "qwen3-0.6b"),
    "bge": ("bge-m3", "bge-reranker-v2-m3", "smollm2-135m-instruct"),
}


def with_profile(llm: LLM) -> LLM:
    """The section with the profile's models in roles whose name is empty."""
    embed, rerank, generate = PROFILES[llm.profile]
    return replace(
        llm,
        embed=_named(llm.embed, embed),
        rerank=_named(llm.rerank, rerank),
        generate=_named(llm.generate, generate),
    )


def _named(model: Model, name: str) -> Model:
    return model if model.name else replace(model, name=name)


def unnamed(llm: LLM) -> LLM:
    """The section with empty names, to lay a configuration over."""
    return replace(
        llm,
        embed=replace(llm.embed, name=""),
        rerank=replace(llm.rerank, name=""),
        generate=replace(llm.generate, name=""),
    )
