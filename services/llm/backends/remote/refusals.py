"""What does it mean when a server says no."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from clients.errors import BackendError, BadRequest, Busy, ModelNotLoaded, RagqError, TooLarge

MAX_WORDS = 300
DEFAULT_RETRY_S = 1.0
TOO_LONG = re.compile(
    r"context[ _](length|size|window)|maximum (input|sequence|model)|max_model_len|"
    r"(inputs?|prompt|text|sequence).{0,60}(too (long|large)|less than|exceed|longer)|"
    r"exceeds? the (max|available)",
    re.IGNORECASE,
)
NO_MODEL = re.compile(
    r"\bmodel\b.{0,120}(not (found|exist|loaded|available)|does ?n.t exist|unknown)|no model", re.IGNORECASE
)
WRONG_ROLE = re.compile(
    r"does not support|not supported|doesn.t support|not an? (embedding|rerank|chat|text generation|generative)|"
    r"no chat template|model type|cannot (embed|rerank|generate|chat)",
    re.IGNORECASE,
)

KEY_HELP = "set api_key to a key that this server takes; $NAME reads the environment"
HELP: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: KEY_HELP,
    HTTPStatus.FORBIDDEN: KEY_HELP,
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: "the proxy wants a name and password: http_proxy=http://NAME:PASSWORD@...",
}


def refusal(status: int, headers: Mapping[str, str], body: bytes, where: str) -> RagqError:
    """The error that an HTTP answer other than success stands for.

    Args:
        status: of HTTP.
        headers: of the answer; ``Retry-After`` and ``Location`` are looked at.
        body: of the answer; may be anything.
        where: the address that was asked, for the message.
    """
    words = said(body)
    message = f"{where} answers {status}: {words or _phrase(status)}"
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        return Busy(message, help="the server has too much to do; try again", retry_after_s=_retry_after(headers))
    if status in HELP:
        return BackendError(message, help=HELP[status])
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        return _not_found(message, words, where)
    if status in range(300, 400):
        return BackendError(message, help=f"it wants to be asked at {headers.get('Location', 'another address')}")
    return _bad_request(status, message, words)


def said(body: bytes) -> str:
    """The server's own words about a failure, on one line; empty when it has none."""
    text = body.decode("utf-8", "replace").strip()
    if is_page(text):
        title = re.search(r"<title>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        text = f"a web page{f' ({title[1].strip()})' if title else ''}"
    else:
        with suppress(ValueError):
            text = words_of(json.loads(text))
    text = " ".join(text.split())
    return text if len(text) <= MAX_WORDS else text[: MAX_WORDS - 1] + "…"


def words_of(value: object) -> str:
    """The message in an error object of OpenAI's, FastAPI's, TEI's or Ollama's kind."""
    if isinstance(value, list):
        return "; ".join(filter(None, map(words_of, value)))
    if not isinstance(value, dict):
        return value if isinstance(value, str) else ""
    found = next((words for key in ("error", "message", "detail", "msg") if (words := words_of(value.get(key)))), "")
    place = value.get("loc")
    return f"{'.'.join(map(str, place))}: {found}" if isinstance(place, list) else found


def is_page(text: str) -> bool:
    """Whether it is HTML: then something else than a model server answers."""
    return text.lstrip()[:9].lower().startswith(("<!doctype", "<html"))


def _not_found(message: str, words: str, where: str) -> RagqError:
    if NO_MODEL.search(words):
        return ModelNotLoaded(message, help="load it there, or name one that the server has")
    if "/v1/" not in where:
        return BackendError(message, help="most servers answer below /v1: put it at the end of 'url'")
    return BackendError(message, help="this server has no such endpoint: is it started for this role?")


def _bad_request(status: int, message: str, words: str) -> RagqError:
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or TOO_LONG.search(words):
        return TooLarge(message, help="send a shorter text, or less at a time (options.batch)")
    if NO_MODEL.search(words):
        return ModelNotLoaded(message, help="load it there, or name one that the server has")
    if WRONG_ROLE.search(words):
        return BadRequest(message, help="the model may be made for another role, or the server started for another one")
    if status in range(400, 500):
        return BadRequest(message)
    return BackendError(message, help="the log of that server says more")


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds; RFC 9110 10.2.3 allows a number or a date."""
    value = headers.get("Retry-After", "")
    with suppress(ValueError):
        return max(0.0, float(value))
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return DEFAULT_RETRY_S


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "nothing more"
