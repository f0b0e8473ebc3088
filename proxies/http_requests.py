"""What does the body of an HTTP request ask for?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar

from starlette.requests import Request

from clients.answers import Round
from clients.asking import AskOptions
from clients.errors import BadRequest, TooLarge
from clients.llm import Message
from clients.reading import read

T = TypeVar("T")
MAX_BODY_BYTES = 8 << 20
MAX_INPUTS = 2048
MAX_HITS = 100
BAN = -100


@dataclass(frozen=True, slots=True)
class Turn:
    """A message of the conversation; content is text, or parts of which only text is understood."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[dict[str, object]]

    @property
    def text(self) -> str:
        """The content as one text."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(_part(part) for part in self.content)


def _part(part: Mapping[str, object]) -> str:
    text = part.get("text")
    if part.get("type") != "text" or not isinstance(text, str):
        raise BadRequest(f"messages: a part of type '{part.get('type')}'; only text is understood")
    return text


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """What a stream ends with."""

    include_usage: bool = False


@dataclass(frozen=True, slots=True)
class ChatBody:
    """POST /v1/chat/completions."""

    messages: list[Turn]
    model: str = ""
    stream: bool = False
    stream_options: StreamOptions = field(default_factory=StreamOptions)
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    min_p: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    logit_bias: dict[str, float] | None = None
    response_format: dict[str, object] | None = None
    chat_template: str | None = None
    chat_template_kwargs: dict[str, object] | None = None
    ragq: AskOptions = field(default_factory=AskOptions)

    @property
    def limit(self) -> int | None:
        """Upper bound of new tokens, if the request has one."""
        return self.max_completion_tokens or self.max_tokens

    def turns(self) -> list[Message]:
        """The conversation as the LLM service takes it."""
        return [Message("system" if t.role == "developer" else t.role, t.text) for t in self.messages]

    def controls(self) -> dict[str, Any]:
        """The controls of generation that the request sets."""
        names = (
            "temperature",
            "top_p",
            "top_k",
            "min_p",
            "presence_penalty",
            "frequency_penalty",
            "repetition_penalty",
        )
        given = {name: getattr(self, name) for name in (*names, "seed")}
        given |= {"max_tokens": self.limit, "stop": [self.stop] if isinstance(self.stop, str) else self.stop}
        given |= {"template": self.chat_template, "template_options": self.chat_template_kwargs}
        given |= {"ban_tokens": _banned(self.logit_bias or {}) or None, **_format(self.response_format or {})}
        return {name: value for name, value in given.items() if value is not None}

    def question(self) -> str:
        """The last message, which has to be the user's."""
        if not self.messages or self.messages[-1].role != "user":
            raise BadRequest("messages: the last one must be the user's")
        return self.messages[-1].text

    def history(self) -> list[Round]:
        """The rounds before the question; system messages have no say over a collection."""
        rounds: list[Round] = []
        asked = ""
        for turn in self.messages[:-1]:
            if turn.role == "user":
                asked = turn.text
            elif turn.role == "assistant" and asked:
                rounds.append(Round(asked, turn.text))
                asked = ""
        return rounds

    def ask_options(self) -> dict[str, Any]:
        """Fields of ``ask`` that the request sets."""
        limit = {} if self.limit is None else {"max_tokens": self.limit}
        return {**self.ragq.given(), **limit}


def _banned(bias: Mapping[str, float]) -> list[int]:
    """The tokens of ``logit_bias``: -100 bans one, as OpenAI says; other biases are not to be had."""
    for token, value in bias.items():
        if not token.isdecimal() or value != BAN:
            raise BadRequest(f"logit_bias: '{token}': {value:g}; only {{token id: {BAN}}} is supported, which bans it")
    return [int(token) for token in bias]


def _format(wanted: Mapping[str, object]) -> dict[str, str | None]:
    """``response_format`` as controls."""
    kind = wanted.get("type", "text")
    if kind == "json_schema":
        inner = wanted.get("json_schema")
        schema = inner.get("schema") if isinstance(inner, Mapping) else None
        if not isinstance(schema, Mapping):
            raise BadRequest("response_format: json_schema has no object 'schema'")
        return {"json_schema": json.dumps(schema)}
    if kind not in ("text", "json_object"):
        raise BadRequest(f"response_format: '{kind}' is none of text, json_object and json_schema")
    return {"format": "json" if kind == "json_object" else None}


@dataclass(frozen=True, slots=True)
class EmbeddingsBody:
    """POST /v1/embeddings.

    Attributes:
        input_type: ``query`` or ``search_query`` for questions.
        instruction: what queries are told to be, for models that take one.
    """

    input: str | list[str]
    model: str = ""
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None
    input_type: str = "document"
    instruction: str = ""

    @property
    def texts(self) -> list[str]:
        """The texts."""
        return [self.input] if isinstance(self.input, str) else self.input

    @property
    def role(self) -> Literal["document", "query"]:
        """Which prefix the model takes."""
        return "query" if self.input_type.removeprefix("search_") == "query" else "document"


async def read_body(request: Request) -> dict[str, Any]:
    """The JSON object of a request.

    Raises:
        TooLarge: more than 8 MiB.
        BadRequest: not a JSON object.
    """
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > MAX_BODY_BYTES:
            raise TooLarge(f"the body has more than {MAX_BODY_BYTES >> 20} MiB", help="send it in parts")
    return parse(bytes(raw))


def parse(raw: bytes) -> dict[str, Any]:
    """A JSON object from bytes; BadRequest when it is none."""
    try:
        value = json.loads(raw)
        if b"\\u" in raw:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadRequest("the body is not a JSON object")
    return value


def known(cls: type[T], body: Mapping[str, Any]) -> T:
    """Read the fields we know; null is the same as absent, other fields belong to other servers."""
    names = {f.name for f in fields(cls)}  # type: ignore[arg-type]  # every caller hands in a dataclass
    return read(cls, {name: value for name, value in body.items() if name in names and value is not None})


def with_documents(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body; its ``within``, where it is a list, is short for the field ``documents`` of one."""
    within = body.get("within")
    return {**body, "within": {"documents": within}} if isinstance(within, list) else dict(body)


def read_chat(body: Mapping[str, Any]) -> ChatBody:
    """A chat request; BadRequest for what would change the answer and is not supported."""
    _refuse_unsupported(body)
    turns = body.get("messages")
    if not isinstance(turns, list) or not turns:
        raise BadRequest("messages: expected a list of at least one message")
    trimmed = [_trimmed(turn) for turn in turns]
    options = _trimmed(body.get("stream_options"), "include_usage")
    own = with_documents(body["ragq"]) if isinstance(body.get("ragq"), dict) else body.get("ragq")
    chat = known(ChatBody, {**body, "messages": trimmed, "stream_options": options, "ragq": own})
    _check_ranges(chat)
    chat.controls()
    return chat


def _trimmed(turn: Any, *names: str) -> Any:
    """A message without the fields that mean nothing here, such as ``name``; null content is empty."""
    if not isinstance(turn, dict):
        return turn
    kept = {name: turn[name] for name in names or ("role", "content") if name in turn}
    return kept | {"content": ""} if not names and kept.get("content") is None else kept


def _refuse_unsupported(body: Mapping[str, Any]) -> None:
    if body.get("n") not in (None, 1):
        raise BadRequest("n: one answer at a time")
    for name in ("tools", "functions", "logprobs"):
        if body.get(name):
            raise BadRequest(f"{name}: not supported")


def _check_ranges(chat: ChatBody) -> None:
    bounds: Iterable[tuple[str, float | None, float, float]] = (
        ("temperature", chat.temperature, 0, 2),
        ("top_p", chat.top_p, 0, 1),
        ("top_k", chat.top_k, 0, 1 << 20),
        ("min_p", chat.min_p, 0, 1),
        ("seed", chat.seed, -(1 << 63), (1 << 63) - 1),
        ("presence_penalty", chat.presence_penalty, -2, 2),
        ("frequency_penalty", chat.frequency_penalty, -2, 2),
        ("repetition_penalty", chat.repetition_penalty, 0.01, 100),
        ("max_tokens", chat.max_tokens, 1, 1 << 20),
        ("max_completion_tokens", chat.max_completion_tokens, 1, 1 << 20),
        ("ragq.top_k", chat.ragq.top_k, 1, MAX_HITS),
        ("ragq.passages", chat.ragq.passages, 1, MAX_HITS),
        ("ragq.rounds", chat.ragq.rounds, 0, 1000),
        ("ragq.threshold", chat.ragq.threshold, 0, 1),
        ("ragq.threshold_low", chat.ragq.threshold_low, 0, 1),
    )
    for name, value, least, most in bounds:
        if value is not None and not least <= value <= most:
            raise BadRequest(f"{name}: {value} is outside {least} to {most}")


def read_embeddings(body: Mapping[str, Any]) -> EmbeddingsBody:
    """An embeddings request; BadRequest for no texts, too many, or an empty one."""
    given = body.get("input")
    if isinstance(given, list) and not all(isinstance(text, str) for text in given):
        raise BadRequest("input: expected a text or a list of texts", help="numbers of tokens are not understood")
    request = known(EmbeddingsBody, body)
    refuse_empty(request.texts, "input")
    if len(request.texts) > MAX_INPUTS:
        raise BadRequest(f"input: {len(request.texts)} texts; at most {MAX_INPUTS}")
    if request.dimensions is not None and request.dimensions < 1:
        raise BadRequest(f"dimensions: {request.dimensions} is less than 1")
    return request


def refuse_empty(texts: Sequence[str], name: str) -> None:
    """BadRequest for no texts, or for one without a word."""
    if not texts:
        raise BadRequest(f"{name}: is empty")
    for i, text in enumerate(texts):
        if not text.strip():
            raise BadRequest(f"{name}[{i}]: is empty")
