"""What text generation is asked for, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from .reading import read


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Generate:
    """A prompt or a conversation to continue; exactly one of the two is given.

    Attributes:
        max_tokens: upper bound of new tokens.
        temperature: 0 is greedy.
        stop: texts that end the answer and are cut off.
        state: name of an RWKV state file, for backends that have states.
    """

    prompt: str = ""
    messages: list[Message] = field(default_factory=list)
    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    stop: list[str] = field(default_factory=list)
    seed: int | None = None
    state: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of generated text, as it becomes final."""

    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What a generation cost."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    first_token_s: float = 0.0
    total_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Generation:
    """The end of a generation; ``text`` is the whole of it."""

    text: str
    finish_reason: Literal["stop", "length", "cancelled"]
    model: str
    usage: Usage = field(default_factory=Usage)


Prompt = str | Sequence[Message | Mapping[str, str]]


def generate_request(prompt: Prompt, **controls: object) -> Generate:
    """The request for a prompt or a conversation; BadRequest for an unknown control."""
    fields: dict[str, object] = dict(controls)
    if isinstance(prompt, str):
        fields["prompt"] = prompt
    else:
        fields["messages"] = [turn if isinstance(turn, Message) else read(Message, turn) for turn in prompt]
    return read(Generate, fields)
