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
        penalty_decay: factor by which the presence and frequency penalties of a token fade with each
            further token (RWKV's 0.996); 1 keeps them.
        stop: texts that end the answer and are cut off.
        stop_tokens: token ids that do the same.
        ban_tokens: token ids that are never written.
        template: a chat template (Jinja, as in tokenizer_config.json) instead of the model's own.
        template_options: variables of the template, such as ``enable_thinking``.
        format: ``json`` lets the model write one JSON value only.
        json_schema: a JSON schema as text; the answer fits it.
        beams: width of a beam search; 0 samples. Temperature, top_p and top_k mean nothing to it.
        num_answers: how many of the best beams come back, at most ``beams``.
        length_penalty: divides a beam's log probability by length to this power; above 0 favours longer ones.
        state: name of an RWKV state file, for backends that have states.
    """

    prompt: str = ""
    messages: list[Message] = field(default_factory=list)
    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    penalty_decay: float = 1.0
    stop: list[str] = field(default_factory=list)
    stop_tokens: list[int] = field(default_factory=list)
    ban_tokens: list[int] = field(default_factory=list)
    seed: int | None = None
    template: str = ""
    template_options: dict[str, object] = field(default_factory=dict)
    format: Literal["text", "json"] = "text"
    json_schema: str = ""
    beams: int = 0
    num_answers: int = 1
    length_penalty: float = 1.0
    state: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of generated text, as it becomes final."""

    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What a generation cost.

    Attributes:
        cached_tokens: of the prompt's, how many the model had worked on before; 0 if unknown.
        queue_s: before the model began on it.
        first_token_s: from the beginning until the first new token (TTFT), the queue included.
        token_s: mean time from one token to the next (TTIT); 0 with fewer than two.
        total_s: from the beginning to the end.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    first_token_s: float = 0.0
    total_s: float = 0.0
    cached_tokens: int = 0
    queue_s: float = 0.0
    token_s: float = 0.0

    @property
    def tokens_per_s(self) -> float:
        """New tokens for each second of the whole; 0 when there were none."""
        return self.completion_tokens / self.total_s if self.total_s > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Beam:
    """One answer of a beam search.

    Attributes:
        log_probability: of its tokens together, natural logarithm.
        score: by which beams are ordered: the log probability over the length penalty.
    """

    text: str
    log_probability: float
    score: float
    finish_reason: Literal["stop", "length"] = "stop"


@dataclass(frozen=True, slots=True)
class Generation:
    """The end of a generation; ``text`` is the whole of it, or the best beam.

    Attributes:
        beams: of a beam search, best first.
    """

    text: str
    finish_reason: Literal["stop", "length", "cancelled"]
    model: str
    usage: Usage = field(default_factory=Usage)
    beams: list[Beam] = field(default_factory=list)


Prompt = str | Sequence[Message | Mapping[str, str]]


def generate_request(prompt: Prompt, **controls: object) -> Generate:
    """The request for a prompt or a conversation; BadRequest for an unknown control."""
    fields: dict[str, object] = dict(controls)
    if isinstance(prompt, str):
        fields["prompt"] = prompt
    else:
        fields["messages"] = [turn if isinstance(turn, Message) else read(Message, turn) for turn in prompt]
    return read(Generate, fields)
