"""Are the controls of a generation in range, and does the model's backend have them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields, replace

from clients.errors import BadRequest, TooLarge
from clients.llm import Generate

from .schemas import check_schema

MAX_STOPS = 16
SHORTER = "send fewer or shorter passages"
MAX_TOKEN_IDS = 1024
MAX_TEMPLATE_CHARS = 64_000
RANGES: dict[str, tuple[float, float]] = {
    "max_tokens": (1, 1_000_000),
    "temperature": (0.0, 2.0),
    "top_k": (0, 1_000_000),
    "min_p": (0.0, 1.0),
    "presence_penalty": (-2.0, 2.0),
    "frequency_penalty": (-2.0, 2.0),
    "repetition_penalty": (0.1, 10.0),
    "penalty_decay": (0.0, 1.0),
    "beams": (0, 16),
    "num_answers": (1, 16),
    "length_penalty": (-4.0, 4.0),
}
# What a request says of what is written, not how: every backend has these.
ALWAYS = frozenset({"prompt", "messages", "model", "max_tokens"})
SAMPLING = frozenset({"temperature", "top_p", "top_k", "min_p", "seed"})
PENALTIES = frozenset({"presence_penalty", "frequency_penalty", "repetition_penalty", "penalty_decay"})
TEMPLATES = frozenset({"template", "template_options"})
STOPS = frozenset({"stop", "stop_tokens"})
BEAMS = frozenset({"beams", "num_answers", "length_penalty"})
JSON = frozenset({"format", "json_schema"})
PLAIN = Generate()


def check_controls(request: Generate) -> None:
    """BadRequest, naming the control and its range."""
    for name, (low, high) in RANGES.items():
        value = getattr(request, name)
        if not low <= value <= high:
            raise BadRequest(f"{name} is {value}; allowed are {low:g} to {high:g}")
    if not 0.0 < request.top_p <= 1.0:
        raise BadRequest(f"top_p is {request.top_p}; allowed is above 0, up to 1")
    if len(request.stop) > MAX_STOPS or not all(request.stop):
        raise BadRequest(f"stop takes up to {MAX_STOPS} texts, none of them empty")
    _check_ids("stop_tokens", request.stop_tokens)
    _check_ids("ban_tokens", request.ban_tokens)
    _check_beams(request)
    if request.json_schema:
        check_schema(request.json_schema)
    if len(request.template) > MAX_TEMPLATE_CHARS:
        raise BadRequest(f"template has {len(request.template)} characters; allowed are {MAX_TEMPLATE_CHARS}")
    if (request.template or request.template_options) and not request.messages:
        raise BadRequest("a template makes a prompt of messages", help="give messages, or leave the template out")


def fitting(request: Generate, num_prompt: int, model: str, context_tokens: int, cure: str = SHORTER) -> Generate:
    """The request with no more tokens to write than the prompt leaves room for.

    Args:
        request: what is asked for.
        num_prompt: tokens of the prompt.
        model: its name, for the message.
        context_tokens: how many the model takes, prompt and answer together.
        cure: what to do about a prompt that is too long.

    Raises:
        TooLarge: the prompt leaves no room for any.
    """
    room = min(request.max_tokens, context_tokens - num_prompt)
    if room < 1:
        raise TooLarge(
            f"the prompt has {num_prompt} tokens; '{model}' takes {context_tokens} with the answer", help=cure
        )
    return replace(request, max_tokens=room)


def refuse_unsupported(request: Generate, supported: Collection[str], backend: str) -> None:
    """BadRequest when a request sets a control that the backend does not have: none is ignored.

    Args:
        request: what is asked for.
        supported: names of fields of Generate, beside those that every backend has.
        backend: its name, for the message.
    """
    for name in set_controls(request):
        if name not in supported:
            raise BadRequest(
                f"unsupported control '{name}' of backend {backend}", help=f"use {', '.join(sorted(supported))}"
            )


def set_controls(request: Generate) -> list[str]:
    """Names of the controls that differ from their defaults."""
    names = [field.name for field in fields(Generate) if field.name not in ALWAYS]
    return [name for name in names if getattr(request, name) != getattr(PLAIN, name)]


def _check_ids(name: str, ids: list[int]) -> None:
    if len(ids) > MAX_TOKEN_IDS or any(not 0 <= number < 1 << 31 for number in ids):
        raise BadRequest(f"{name} takes up to {MAX_TOKEN_IDS} token ids, none below 0")


def _check_beams(request: Generate) -> None:
    if request.num_answers > max(1, request.beams):
        raise BadRequest(f"num_answers is {request.num_answers}; allowed are 1 to beams, which is {request.beams}")
    if request.beams and (request.temperature > 0.0 or request.format == "json" or request.json_schema):
        raise BadRequest("a beam search neither samples nor keeps to JSON", help="leave beams, or the others, out")
