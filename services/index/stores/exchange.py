"""How is a JSON server asked over HTTP, within a time limit, and what is said when it is away?"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, urlsplit

from clients.errors import AlreadyExists, BackendError, NotFound, StoreAway
from clients.wire import Clock

CONNECT_S = 3.0
REST_S = 2.0
MAX_TOLD = 300
OVERLOADED = frozenset({429, 502, 503, 504})
Request = tuple[str, str, bytes | None, dict[str, str]]


class Exchange:
    """Requests to one server, each thread over a connection of its own that stays open.

    After a request that took too long the server counts as away for two seconds, so that a stopped one costs its
    callers one wait and not one each. Every request must be one that may be sent twice: a connection that the server
    closed meanwhile is replaced without a word.

    Args:
        locate: the server's address, such as ``http://127.0.0.1:8000``, asked for each new connection; StoreAway when
            it has none at the moment.
        token: sent with each request; empty means none.
        cure: what a person should do about a server that is away.
    """

    def __init__(
        self, locate: Callable[[], str], token: str = "", cure: str = "", clock: Clock = time.monotonic
    ) -> None:
        self._locate = locate
        self._cure = cure
        self._clock = clock
        self._headers = {"Accept": "application/json"}
        if token:
            self._headers |= {"Authorization": f"Bearer {token}", "X-Chroma-Token": token}
        self._local = threading.local()
        self._open: set[http.client.HTTPConnection] = set()
        self._lock = threading.Lock()
        self._away: tuple[float, str] = (0.0, "")

    def ask(self, method: str, path: str, body: object = None, *, timeout_s: float) -> Any:
        """The JSON of the server's answer.

        Raises:
            NotFound: it says 404.
            AlreadyExists: it says 409.
            StoreAway: it cannot be reached, is overloaded, or said nothing for ``timeout_s``.
            BackendError: it refused.
        """
        until, why = self._away
        if self._clock() < until:
            raise StoreAway(why, help=self._cure)
        try:
            status, answer = self._exchanged(method, path, body, timeout_s)
        except (OSError, http.client.HTTPException) as error:
            raise self._is_away(error, timeout_s) from error
        if status >= 400:
            raise self._refused(status, answer)
        return json.loads(answer) if answer else None

    def _exchanged(self, method: str, path: str, body: object, timeout_s: float) -> tuple[int, bytes]:
        raw = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = self._headers if raw is None else {**self._headers, "Content-Type": "application/json"}
        request = (method, path, raw, headers)
        connection, is_new = self._connection()
        try:
            return self._sent(connection, request, timeout_s)
        except TimeoutError:
            raise
        except (OSError, http.client.HTTPException):
            if is_new:
                raise
        return self._sent(self._connection()[0], request, timeout_s)

    def _sent(self, connection: http.client.HTTPConnection, request: Request, timeout_s: float) -> tuple[int, bytes]:
        try:
            if connection.sock is None:
                connection.timeout = CONNECT_S
                connection.connect()
            connection.sock.settimeout(timeout_s)
            method, path, body, headers = request
            connection.request(method, f"{self._local.prefix}{path}", body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            self._hang_up(connection)
            raise

    def _connection(self) -> tuple[http.client.HTTPConnection, bool]:
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is not None:
            return connection, False
        url = urlsplit(self._locate())
        connection = _connected(url)
        self._local.connection, self._local.prefix = connection, url.path.rstrip("/")
        with self._lock:
            self._open.add(connection)
        return connection, True

    def _hang_up(self, connection: http.client.HTTPConnection) -> None:
        connection.close()
        self._local.connection = None
        with self._lock:
            self._open.discard(connection)

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            for connection in self._open:
                connection.close()
            self._open.clear()
        self._local = threading.local()

    def _is_away(self, error: Exception, timeout_s: float) -> StoreAway:
        took_too_long = isinstance(error, TimeoutError)
        why = f"it said nothing for {timeout_s:g} s" if took_too_long else str(error) or type(error).__name__
        message = f"the vector store's server is away: {why}"
        if took_too_long:
            self._away = (self._clock() + REST_S, message)
        if isinstance(error, ssl.SSLCertVerificationError):
            return StoreAway(message, help="name the certificate of its authority in the variable SSL_CERT_FILE")
        return StoreAway(message, help=self._cure)

    def _refused(self, status: int, answer: bytes) -> Exception:
        told = answer[:MAX_TOLD].decode("utf-8", "replace")
        if status == 404:
            return NotFound(told)
        if status == 409:
            return AlreadyExists(told)
        if status in OVERLOADED:
            return StoreAway(f"the vector store's server is busy ({status})", help=self._cure)
        if status in (401, 403):
            return BackendError(
                f"the vector store's server refused the token ({status})", help="set index.chroma_token in ragq.yml"
            )
        return BackendError(f"the vector store's server refused ({status}): {told}")


def _connected(url: SplitResult) -> http.client.HTTPConnection:
    """A connection to the server of a URL, not made yet; its certificate has to be one that this machine trusts."""
    host = url.hostname or ""
    if url.scheme == "https":
        return http.client.HTTPSConnection(host, url.port, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, url.port)
