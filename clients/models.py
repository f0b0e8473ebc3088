"""Which models fill the roles of the LLM service, what they cost, and how one is exchanged for another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from .wire import Method, Nothing, unary

RoleName = Literal["embed", "rerank", "generate"]
# The name of the model of a role that has none.
NOBODY = "none"
# A large model is read from disk, compiled and tried.
RELOAD_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A role of the LLM service and the model that fills it.

    Attributes:
        status: ``ready``, ``loading``, ``off``, or why not.
        dimension: of the vectors; 0 where there are none.
        min_dimension: vectors may be cut down to so many numbers (Matryoshka); 0 when they may not.
        max_tokens: longest input, or context length; 0 if unknown.
        dtype, device: what the model computes in and where; empty if unknown.
        num_bytes: memory that its weights take, by estimate; 0 if unknown.
        revision: what tells two sets of weights apart; vectors of two revisions do not mix.
        beside: other embedding models that this worker has loaded now, because calls named them.
    """

    role: RoleName
    name: str
    backend: str
    status: str = "ready"
    dimension: int = 0
    max_tokens: int = 0
    languages: list[str] = field(default_factory=list)
    min_dimension: int = 0
    dtype: str = ""
    device: str = ""
    num_bytes: int = 0
    revision: str = ""
    beside: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Models:
    """The roles of one worker."""

    models: list[ModelInfo]


@dataclass(frozen=True, slots=True)
class Reload:
    """Another model for a role; an empty field means what ragq.yml says.

    Attributes:
        name: of a model in the models directory, or a path.
        release_first: let go of the present model before the new one is loaded, where memory holds only one;
            calls wait meanwhile, and a failure brings the present one back.
    """

    role: RoleName
    name: str = ""
    backend: str = ""
    dtype: str = ""
    device: str = ""
    release_first: bool = False


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The model that fills the role now, and the one that it replaced (empty when there was none)."""

    model: ModelInfo
    previous: str = ""
    took_s: float = 0.0


@dataclass(frozen=True, slots=True)
class RoleUsage:
    """What a role of one worker has done since it started.

    Attributes:
        num_calls: calls begun.
        num_tokens: tokens that went through the model, without those of remembered texts.
        num_passes: forward passes, or answers written.
        num_waiting, num_running: texts, pairs or answers in the queue, and in the model.
        cache_hits, cache_misses: texts or pairs that were remembered, and that were not.
        cache_bytes: memory of what is remembered.
    """

    role: RoleName
    model: str = ""
    num_calls: int = 0
    num_tokens: int = 0
    num_passes: int = 0
    num_waiting: int = 0
    num_running: int = 0
    cache_hits: int = 0
    cache_misses: int = 0
    cache_bytes: int = 0


@dataclass(frozen=True, slots=True)
class WorkerUsage:
    """What one worker of the LLM service uses.

    Attributes:
        threads: processor threads that its models may use.
        rss_bytes: memory of the process.
        available_bytes: memory that the machine, or the process's group, has left; 0 if unknown.
        cpu_s: processor seconds since it started.
    """

    host: str
    pid: int
    threads: int
    rss_bytes: int
    available_bytes: int
    cpu_s: float
    roles: list[RoleUsage]


MODELS = unary("llm.models", Nothing, Models)
# Not a second time by itself: a model that kills one worker would kill the next.
# A method of its own for each role: workers may serve different roles, and the proxy routes by method.
MODEL_OF: dict[RoleName, Method[Nothing, ModelInfo, Nothing]] = {
    role: unary(f"llm.{role}_model", Nothing, ModelInfo) for role in get_args(RoleName)
}
RELOAD: dict[RoleName, Method[Reload, Reloaded, Nothing]] = {
    role: unary(f"llm.reload_{role}", Reload, Reloaded, idempotent=False) for role in get_args(RoleName)
}
USAGE = unary("llm.usage", Nothing, WorkerUsage)
METHODS = (MODELS, USAGE, *MODEL_OF.values(), *RELOAD.values())


def unserved(role: RoleName) -> ModelInfo:
    """What is said of a role that no worker serves."""
    return ModelInfo(role, NOBODY, "", "no worker serves it")
