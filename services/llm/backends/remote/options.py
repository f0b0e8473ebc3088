"""What may ``options`` of a remote model say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from clients.config import Model
from clients.errors import BadRequest, ConfigError
from clients.reading import read

Kind = Literal["", "vllm", "sglang", "llamacpp", "ollama", "tei", "ragq", "openai"]
ScoreScale = Literal["", "logit", "probability", "similarity"]


@dataclass(frozen=True, slots=True)
class Options:
    """Settings that only the remote backend has.

    Attributes:
        server: what kind of server it is; empty means that it is found out.
        batch: texts or documents of one request.
        streams: requests under way at a time.
        query_prefix, document_prefix: what the model was trained to see in front of a text;
            ``{instruction}`` in the first stands for the instruction.
        similarity_floor: cosine that the model gives to unrelated texts.
        min_dimension: vectors may be cut down to so many numbers (Matryoshka); 0: never.
        scores: the scale of a reranker's scores; empty means that it is found out.
        reasoning: what becomes of the thoughts that a server sends beside the answer: ``drop`` leaves them
            out, ``keep`` puts them before the answer between ``<think>`` and ``</think>``.
        controls: further controls that the server is known to take, by the names of ``llm.generate``.
        body: further fields for every request, such as ``keep_alive``.
    """

    server: Kind = ""
    batch: int = 32
    streams: int = 4
    query_prefix: str = ""
    document_prefix: str = ""
    similarity_floor: float = 0.0
    min_dimension: int = 0
    scores: ScoreScale = ""
    reasoning: Literal["drop", "keep"] = "drop"
    controls: list[str] = field(default_factory=list)
    body: dict[str, object] = field(default_factory=dict)


def read_options(settings: Model, role: str) -> Options:
    """The options of the model of a role; ConfigError names what is wrong."""
    place = f"llm.{role}.options"
    try:
        options = read(Options, settings.options, place)
    except BadRequest as error:
        raise ConfigError(error.message, help=error.help) from error
    if options.batch < 1 or options.streams < 1:
        raise ConfigError(f"{place}: batch and streams are 1 at the least")
    return options
