"""What does one event of a completion add to the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from clients.errors import BackendError, RagqError

from .refusals import refusal, words_of

END = "[DONE]"
FINISH: dict[str, Literal["stop", "length"]] = {
    "stop": "stop", "eos": "stop", "eos_token": "stop", "stop_sequence": "stop", "end_turn": "stop",
    "length": "length", "max_tokens": "length",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Piece:
    """What an event adds.

    Attributes:
        thought: what a reasoning model says to itself.
        finish: why the answer is over; empty while it is not.
        usage: the tokens, from the event that has them.
    """

    text: str = ""
    thought: str = ""
    finish: Literal["", "stop", "length"] = ""
    usage: Mapping[str, Any] | None = None


def read_piece(data: str, where: str) -> Piece:
    """Read the data of an event, or a completion in one piece.

    Raises:
        RagqError: it reports a failure, and which one.
        BackendError: it is no completion, or ends for a reason that makes no answer.
    """
    try:
        value = json.loads(data)
    except ValueError as error:
        raise BackendError(f"{where}: an event that is no JSON: {data[:80]!r}") from error
    if not isinstance(value, dict):
        raise BackendError(f"{where}: an event that is no object: {data[:80]!r}")
    if (failure := _error(value, where)) is not None:
        raise failure
    choices = value.get("choices")
    usage = value.get("usage")
    choice = choices[0] if isinstance(choices, list) and choices else {}
    if not isinstance(choice, Mapping):
        raise BackendError(f"{where}: a choice that is no object")
    said = choice.get("delta") or choice.get("message") or choice
    return Piece(
        _text(said, "content") or _text(choice, "text"),
        _text(said, "reasoning_content") or _text(said, "reasoning"),
        _finish(choice.get("finish_reason"), where),
        usage if isinstance(usage, Mapping) else None,
    )


def _error(value: Mapping[str, Any], where: str) -> RagqError | None:
    """A failure within a stream is as telling as one before it."""
    error = value.get("error")
    if not error and value.get("object") != "error":
        return None
    inner = error if isinstance(error, Mapping) else value
    code = inner.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else 500
    return refusal(status, {}, (words_of(value) or "an error without words").encode(), where)


def _finish(reason: object, where: str) -> Literal["", "stop", "length"]:
    if reason is None or reason == "":
        return ""
    if str(reason) not in FINISH:
        raise BackendError(f"{where}: the server gave up the answer: {reason}")
    return FINISH[str(reason)]


def _text(value: Any, key: str) -> str:
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, str) else ""
