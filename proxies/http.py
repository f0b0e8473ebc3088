"""The HTTP face: OpenAI's chat, embeddings, models, search, rerank, health, metrics; each route is one client call."""

from __future__ import annotations

import base64
import ipaddress
import signal
import socket
from contextlib import suppress
from errno import EADDRINUSE
from http import HTTPStatus
from typing import Any

import anyio
import numpy as np
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from clients.config import Config
from clients.embedding import EMBED, embed_requests, joined
from clients.endpoint import is_loopback
from clients.errors import BadRequest, ConfigError, NotFound, PortBusy, RagqError
from clients.mesh import Ragq

from . import http_chat, http_status
from .exposition import CONTENT_TYPE
from .http_errors import error_body, on_defect, on_failure, on_http_error
from .http_models import list_models, no_model
from .http_requests import EmbeddingsBody, read_body, read_chat, read_embeddings
from .http_rerank import read_rerank, read_score, reranked, scored
from .http_search import found, read_search
from .http_stream import EventStream, Threads
from .http_trace import Traces

CALL_TIMEOUT_S = 120.0
SHUTDOWN_S = 10


def run(config: Config) -> int:
    """Serve HTTP in the foreground until SIGTERM or SIGINT; answers under way get ten seconds to end.

    Raises:
        ConfigError: a bind that other machines reach, without ``insecure: true``.
        PortBusy: another process listens there.
    """
    import uvicorn

    listener = _listen(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn raises what it caught again when it is done
    with listener, Ragq(config, timeout_s=CALL_TIMEOUT_S) as mesh:
        settings = uvicorn.Config(
            app(config, mesh), log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=SHUTDOWN_S
        )
        uvicorn.Server(settings).run(sockets=[listener])
    return 0


def _listen(config: Config) -> socket.socket:
    host, port = config.http.host, config.http.port
    if not (is_loopback(host) or config.insecure):
        raise ConfigError(
            f"http://{host}:{port} can be reached from other machines, and the HTTP face has no keys",
            help="bind 127.0.0.1 behind a proxy of your own, or set 'insecure: true' in a network that you trust",
        )
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        if error.errno == EADDRINUSE:
            raise PortBusy(f"http://{host}:{port}") from None
        raise ConfigError(f"cannot listen at http://{host}:{port}: {error.strerror or error}") from None


def app(config: Config, mesh: Ragq) -> Starlette:
    """The application over a mesh; the caller closes the mesh."""
    face = Face(mesh)
    routes = [
        Route("/health", face.health),
        Route("/metrics", face.metrics),
        Route("/v1/models", face.models),
        Route("/v1/models/{name:path}", face.model),
        Route("/v1/chat/completions", face.chat, methods=["POST"]),
        Route("/v1/embeddings", face.embeddings, methods=["POST"]),
        Route("/v1/search", face.search, methods=["POST"]),
        *(Route(path, face.rerank, methods=["POST"]) for path in ("/rerank", "/v1/rerank", "/v2/rerank")),
        *(Route(path, face.score, methods=["POST"]) for path in ("/score", "/v1/score")),
    ]
    handlers: Any = {RagqError: on_failure, HTTPException: on_http_error, Exception: on_defect}
    guard = [Middleware(LocalNames)] if is_loopback(config.http.host) else []
    return Starlette(routes=routes, exception_handlers=handlers, middleware=[*guard, Middleware(Traces)])


class LocalNames:
    """Refuses a Host that is not this machine's: a web page elsewhere may not read the documents by DNS rebinding."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        host = Headers(scope=scope).get("host", "") if scope["type"] == "http" else "localhost"
        if _is_local_name(host):
            await self._inner(scope, receive, send)
            return
        message = (
            f"the host name '{host}' is not this machine's. Call http://127.0.0.1, or let your proxy send that name"
        )
        body = error_body(message, HTTPStatus.MISDIRECTED_REQUEST, "host_not_allowed")
        await JSONResponse(body, HTTPStatus.MISDIRECTED_REQUEST)(scope, receive, send)


def _is_local_name(host: str) -> bool:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    with suppress(ValueError):
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    return name.lower() in ("localhost", "")


class Face:
    """The routes over one mesh.

    Health and metrics have threads of their own: they answer also when every other one waits for a model.
    """

    def __init__(self, mesh: Ragq) -> None:
        self._mesh = mesh
        self._threads = Threads()

    async def health(self, _: Request) -> Response:
        """GET /health."""
        status = await anyio.to_thread.run_sync(self._mesh.status)
        code = HTTPStatus.OK if status.ready else HTTPStatus.SERVICE_UNAVAILABLE
        return JSONResponse(http_status.health(status), code)

    async def metrics(self, _: Request) -> Response:
        """GET /metrics."""
        status = await anyio.to_thread.run_sync(self._mesh.status)
        return PlainTextResponse(http_status.metrics(status), media_type=CONTENT_TYPE)

    async def models(self, request: Request) -> Response:
        """GET /v1/models."""
        found = await self._threads.call(request, lambda: list_models(self._mesh))
        return JSONResponse({"object": "list", "data": found})

    async def model(self, request: Request) -> Response:
        """GET /v1/models/NAME."""
        name = request.path_params["name"]
        found = await self._threads.call(request, lambda: list_models(self._mesh))
        for entry in found:
            if entry["id"] in (name, http_chat.collection_id(name)):
                return JSONResponse(entry)
        raise NotFound(f"no model '{name}'", help="GET /v1/models lists them")

    async def chat(self, request: Request) -> Response:
        """POST /v1/chat/completions."""
        body = read_chat(await read_body(request))
        if body.stream:
            return await EventStream.open(self._threads, request, http_chat.frames(self._mesh, body))
        return JSONResponse(await self._threads.call(request, lambda: http_chat.answered(self._mesh, body)))

    async def embeddings(self, request: Request) -> Response:
        """POST /v1/embeddings."""
        body = read_embeddings(await read_body(request))
        return JSONResponse(await self._threads.call(request, lambda: embed(self._mesh, body)))

    async def search(self, request: Request) -> Response:
        """POST /v1/search."""
        body = read_search(await read_body(request))
        return JSONResponse(await self._threads.call(request, lambda: found(self._mesh, body)))

    async def rerank(self, request: Request) -> Response:
        """POST /rerank, /v1/rerank and /v2/rerank."""
        body = read_rerank(await read_body(request))
        version = "2" if request.url.path.startswith("/v2") else "1"
        return JSONResponse(await self._threads.call(request, lambda: reranked(self._mesh, body, version)))

    async def score(self, request: Request) -> Response:
        """POST /score and /v1/score."""
        body = read_score(await read_body(request))
        return JSONResponse(await self._threads.call(request, lambda: scored(self._mesh, body)))


def embed(mesh: Ragq, body: EmbeddingsBody) -> dict[str, object]:
    """The answer to an embeddings request.

    Raises:
        BadRequest: the model's vectors cannot have so many ``dimensions``.
        WrongRole: the model is there, and does not embed.
    """
    split = embed_requests(body.texts, body.role, body.model, body.instruction, body.dimensions or 0)
    try:
        found = joined(mesh.client("llm").call_many(EMBED, split.requests), split.cuts)
    except NotFound as error:
        raise no_model(mesh, "embed", body.model, error) from None
    if body.dimensions not in (None, found.vectors.shape[1]):
        raise BadRequest(f"dimensions: {found.model} has {found.vectors.shape[1]}, not {body.dimensions}")
    data = [{"object": "embedding", "index": i, "embedding": _encoded(v, body)} for i, v in enumerate(found.vectors)]
    usage = {"prompt_tokens": found.num_tokens, "total_tokens": found.num_tokens}
    about = {"ragq": {"truncated": found.truncated}} if found.truncated else {}
    return {"object": "list", "data": data, "model": found.model, "usage": usage, **about}


def _encoded(row: np.ndarray, body: EmbeddingsBody) -> str | list[float]:
    if body.encoding_format == "base64":
        return base64.b64encode(row.astype("<f4").tobytes()).decode()
    values: list[float] = row.tolist()
    return values
