"""Which HTTP status and body does each failure get?"""

from __future__ import annotations

import logging
import re
import uuid
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from clients.errors import (
    AlreadyExists,
    BackendError,
    BadRequest,
    Busy,
    Cancelled,
    ConfigError,
    DataLoss,
    DeadlineExceeded,
    Forbidden,
    Internal,
    MeshError,
    ModelNotLoaded,
    NotFound,
    RagqError,
    TooLarge,
    Unauthenticated,
    UnknownMethod,
    VersionMismatch,
)

log = logging.getLogger("ragq.http")
CLIENT_GONE = 499


class WrongRole(NotFound):
    """The model is there, and does not do what is asked of it."""

    reason = "WRONG_ROLE"


STATUS: dict[type[RagqError], int] = {
    BadRequest: HTTPStatus.BAD_REQUEST,
    ConfigError: HTTPStatus.BAD_REQUEST,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    WrongRole: HTTPStatus.FAILED_DEPENDENCY,
    AlreadyExists: HTTPStatus.CONFLICT,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Cancelled: CLIENT_GONE,
    Internal: HTTPStatus.INTERNAL_SERVER_ERROR,
    UnknownMethod: HTTPStatus.NOT_IMPLEMENTED,
    BackendError: HTTPStatus.BAD_GATEWAY,
    DataLoss: HTTPStatus.BAD_GATEWAY,
    Unauthenticated: HTTPStatus.BAD_GATEWAY,
    VersionMismatch: HTTPStatus.BAD_GATEWAY,
    ModelNotLoaded: HTTPStatus.SERVICE_UNAVAILABLE,
    Busy: HTTPStatus.TOO_MANY_REQUESTS,
    MeshError: HTTPStatus.SERVICE_UNAVAILABLE,
    DeadlineExceeded: HTTPStatus.GATEWAY_TIMEOUT,
    RagqError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
PARAM = re.compile(r"^(?:(?:missing|unknown) key ')?([a-z_]\w*(?:\.\w+|\[\d+\])*)(?:'|:|\[)")


def status_of(error: RagqError) -> int:
    """The HTTP status of a failure; a class without a line of its own has its parent's."""
    return next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)


def error_body(message: str, status: int, code: str, param: str | None = None) -> dict[str, object]:
    """OpenAI's shape of an error."""
    kind = "invalid_request_error" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "server_error"
    kind = "rate_limit_error" if status == HTTPStatus.TOO_MANY_REQUESTS else kind
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def describe(error: RagqError) -> dict[str, object]:
    """The body that reports a failure: what happened, what to do, and the field if one is wrong."""
    message = f"{error.message}. {error.help}" if error.help else error.message
    field = PARAM.match(error.message) if isinstance(error, BadRequest | TooLarge) else None
    return error_body(message, status_of(error), error.reason.lower(), field[1] if field else None)


def refusal(error: RagqError) -> JSONResponse:
    """The response that reports a failure."""
    headers = {"Retry-After": str(max(1, round(error.retry_after_s)))} if isinstance(error, Busy) else None
    return JSONResponse(describe(error), status_of(error), headers)


async def on_failure(_: Request, error: Exception) -> Response:
    """A failure of the tree."""
    assert isinstance(error, RagqError)
    return refusal(error)


async def on_http_error(request: Request, error: Exception) -> Response:
    """A route that does not exist, a method that a route does not have."""
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    message = f"{phrase}: {request.method} {request.url.path}"
    body = error_body(message, error.status_code, phrase.lower().replace(" ", "_"))
    return JSONResponse(body, error.status_code, error.headers)


async def on_defect(request: Request, error: Exception) -> Response:
    """Anything else is ours: an id for the caller, the trace for the log."""
    number = uuid.uuid4().hex[:12]
    log.error("defect %s in %s %s", number, request.method, request.url.path, exc_info=error)
    return refusal(Internal(f"a defect in the HTTP face; its number in the log is {number}"))
