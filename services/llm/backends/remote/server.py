"""How does one request to a server go: sent, waited for, read in full or as it comes."""

from __future__ import annotations

import http.client
import itertools
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Any

from clients.errors import BackendError, Busy, ConnectionLost, RagqError, Unreachable
from services.service import Call

from .address import Address
from .connection import Connection, Connections
from .refusals import is_page, refusal

MAX_REPLY_BYTES = 64 << 20
BLOCK_BYTES = 1 << 16
ATTEMPTS = 3
FIRST_PAUSE_S = 0.1
SETTLE_S = 0.1


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said to one request, in full.

    Attributes:
        where: the address that was asked.
    """

    where: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_ok(self) -> bool:
        """Whether it is a success."""
        return self.status in range(200, 300)

    def value(self) -> Any:
        """The JSON that it holds.

        Raises:
            RagqError: it is a refusal, or no JSON.
        """
        if not self.is_ok:
            raise refusal(self.status, self.headers, self.body, self.where)
        with suppress(ValueError):
            value = json.loads(self.body)
            if isinstance(value, Mapping) and value.get("error"):  # LM Studio says so of paths that it lacks
                raise refusal(self.status, self.headers, self.body, self.where)
            return value
        what = "a web page" if is_page(self.body[:100].decode("utf-8", "replace")) else "no JSON"
        raise BackendError(
            f"{self.where} answers with {what}: no model server answers there",
            help="'url' should be the address of the API, which most servers have below /v1",
        )


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an answer is waited for.

    Attributes:
        silence_s: the longest time in which nothing comes.
        deadline: moment on the monotonic clock when nobody waits any more.
    """

    silence_s: float
    deadline: float

    @property
    def left_s(self) -> float:
        """Seconds that the next piece may take."""
        return max(0.0, min(self.silence_s, self.deadline - time.monotonic()))


class Server:
    """An HTTP server that holds models; safe for any number of threads.

    Args:
        key: sent as a bearer token; empty when the server wants none.
        timeout_s: seconds for a request that is read in full, or in which a stream may be silent.
    """

    def __init__(self, address: Address, key: str, timeout_s: float) -> None:
        self.address = address
        self.timeout_s = timeout_s
        self._connections = Connections(address)
        self._headers = {"Accept": "application/json", "User-Agent": "ragq"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"

    def ask(self, path: str, body: object = None, *, timeout_s: float = 0.0) -> Answer:
        """Ask once; GET without a body, POST with one.

        Args:
            path: from the root of the host: ``/v1/models``.
            body: what becomes JSON; None asks without one.
            timeout_s: seconds, at most those of the server; 0 means those.

        Raises:
            Unreachable: nobody is there.
            ConnectionLost: the server hung up without an answer.
            BackendError: the answer is cut off, too long, no HTTP, or does not come in time.
        """
        timeout_s = min(timeout_s or self.timeout_s, self.timeout_s)
        patience = Patience(timeout_s, time.monotonic() + timeout_s)
        with self._open(path, body, patience) as reply:
            return Answer(reply.where, reply.status, reply.headers, reply.whole())

    def ask_again(self, path: str, body: object) -> Any:
        """The JSON that is answered; asked up to three times when the server is away or busy.

        Raises:
            RagqError: as ``ask`` and ``Answer.value``, of the last attempt.
        """
        deadline = time.monotonic() + self.timeout_s
        for attempt in itertools.count(1):
            try:
                return self.ask(path, body, timeout_s=deadline - time.monotonic()).value()
            except (Unreachable, ConnectionLost, Busy) as error:
                pause_s = max(error.retry_after_s, FIRST_PAUSE_S * attempt)
                if attempt == ATTEMPTS or time.monotonic() + pause_s >= deadline:
                    raise
                time.sleep(pause_s)
        raise AssertionError("the loop ends by return or raise")

    @contextmanager
    def stream(self, path: str, body: object, call: Call) -> Iterator[Reply]:
        """Ask once; the answer is read as it comes, and given up with the call.

        Raises:
            RagqError: as ``ask``, and the server's refusal.
        """
        with self._open(path, body, Patience(self.timeout_s, call.deadline), call) as reply:
            if reply.status not in range(200, 300):
                raise refusal(reply.status, reply.headers, reply.whole(), reply.where)
            yield reply

    def close(self) -> None:
        """Close what nobody uses."""
        self._connections.close()

    @contextmanager
    def _open(self, path: str, body: object, patience: Patience, call: Call | None = None) -> Iterator[Reply]:
        grip = Grip()
        with nullcontext() if call is None else call.cancelled.waits(grip.shut):
            reply = self._begin(grip, path, body, patience)
            try:
                yield reply
            finally:
                self._let_go(reply)

    def _begin(self, grip: Grip, path: str, body: object, patience: Patience) -> Reply:
        """Send; a kept connection that the server gives up just then makes place for another one."""
        while True:
            connection = grip.hold(self._connections.take(patience.left_s))
            try:
                return self._send(connection, path, body, patience)
            except ConnectionLost:
                connection.close()
                if grip.is_shut or not connection.is_used:
                    raise
            except BaseException:
                connection.close()
                raise

    def _let_go(self, reply: Reply) -> None:
        if reply.is_whole:
            self._connections.give_back(reply.connection)
        else:
            reply.connection.close()

    def _send(self, connection: Connection, path: str, body: object, patience: Patience) -> Reply:
        where = f"{self.address.scheme}://{self.address.authority}{path}"
        payload = b"" if body is None else json.dumps(body).encode()
        headers = self._headers | ({"Content-Type": "application/json"} if payload else {})
        connection.be_patient(patience.left_s)
        with _explained(where, patience):
            try:
                response = connection.send("POST" if payload else "GET", path, payload, headers)
            except ConnectionError as error:
                raise ConnectionLost(
                    f"{where} closed the connection without an answer", help="does 'url' want https://?"
                ) from error
        return Reply(where, connection, response, patience)


class Grip:
    """The connection that is to be shut when a call is given up, whichever it is by then."""

    def __init__(self) -> None:
        self.is_shut = False
        self._connection: Connection | None = None

    def hold(self, connection: Connection) -> Connection:
        """This one from now on."""
        self._connection = connection
        if self.is_shut:
            connection.shut()
        return connection

    def shut(self) -> None:
        """End it, and what is held next."""
        self.is_shut = True
        if self._connection is not None:
            self._connection.shut()


class Reply:
    """The answer to one request, while it arrives.

    Attributes:
        is_whole: all of it was read, and the connection can carry the next request.
    """

    def __init__(
        self, where: str, connection: Connection, response: http.client.HTTPResponse, patience: Patience
    ) -> None:
        self.where = where
        self.status = response.status
        self.headers: Mapping[str, str] = dict(response.headers.items())
        self.is_whole = False
        self.connection, self._response, self._patience = connection, response, patience

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes.

        Raises:
            BackendError: it is cut off, or the server falls silent.
        """
        while True:
            self.connection.be_patient(self._patience.left_s)
            with _explained(self.where, self._patience):
                piece = self._response.read1(BLOCK_BYTES)
            if not piece:
                break
            yield piece
        if self._response.length:
            raise _cut(self.where)
        self.is_whole = not self._response.will_close
        self._response.close()

    def settle(self) -> None:
        """Read what is left behind the last thing of interest, so that the connection can be used again."""
        self._patience = replace(self._patience, silence_s=SETTLE_S)
        with suppress(BackendError):
            self.whole()

    def whole(self) -> bytes:
        """The whole body; BackendError when it has more than 64 MiB."""
        body = bytearray()
        for piece in self.pieces():
            body += piece
            if len(body) > MAX_REPLY_BYTES:
                raise BackendError(f"{self.where} answers with more than {MAX_REPLY_BYTES >> 20} MiB")
        return bytes(body)


def _cut(where: str) -> BackendError:
    return BackendError(f"{where} broke off in the middle of its answer", help="the log of that server says more")


@contextmanager
def _explained(where: str, patience: Patience) -> Iterator[None]:
    """What went wrong on the line, in words."""
    try:
        yield
    except RagqError:  # some of ours are ConnectionErrors too
        raise
    except TimeoutError as error:
        raise BackendError(
            f"{where} said nothing for {patience.silence_s:g} s",
            help="the server may be loading a model or have too much to do; timeout_s says how long to wait",
        ) from error
    except (http.client.IncompleteRead, ConnectionError) as error:
        raise _cut(where) from error
    except (http.client.HTTPException, OSError) as error:
        raise BackendError(f"{where} does not answer in HTTP: {error!r}", help="does 'url' want https://?") from error
