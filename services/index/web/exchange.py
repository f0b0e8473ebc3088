"""One request and one response over a connection of its own, within limits of time and size."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from clients.errors import TooLarge

from .targets import Target
from .trouble import Trouble

READ_BYTES = 64 << 10
GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class Limits:
    """What a response may take.

    Attributes:
        max_bytes: of the body, after it is unpacked.
        timeout_s: for one exchange as a whole, and for each read of it.
    """

    max_bytes: int
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Response:
    """What a server answered; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


class _Deadline:
    """Shuts the socket when an exchange takes too long: a server that sends a byte a second never times out a read."""

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self.passed = False
        self._sock = sock
        self._timer = threading.Timer(max(0.0, seconds), self._shut)
        self._timer.daemon = True

    def _shut(self) -> None:
        self.passed = True
        try:
            # The method of the plain socket: the one of SSLSocket changes state that another thread reads.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)
        except OSError:
            return  # closed already

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._sock.close()


def exchange(
    target: Target,
    addresses: Sequence[str],
    headers: Mapping[str, str],
    limits: Limits,
    is_wanted: Callable[[Response], bool] = lambda _: True,
) -> Response:
    """Send a GET and read what comes.

    Args:
        target: what to ask for.
        addresses: where to connect, checked before; the first that answers is taken.
        headers: of the request.
        limits: of the response.
        is_wanted: told the status and headers; False leaves the body unread.

    Raises:
        Trouble: no connection, a broken or slow response.
        TooLarge: the body exceeds the limit.
    """
    until = time.monotonic() + limits.timeout_s
    sock = _connect(addresses, target, limits.timeout_s)
    if target.scheme == "https":
        # SNI and the certificate go by the name, though the connection goes by the address.
        context = ssl.create_default_context()
        sock = context.wrap_socket(sock, server_hostname=target.host, do_handshake_on_connect=False)
    with _Deadline(sock, until - time.monotonic()) as deadline:
        try:
            if isinstance(sock, ssl.SSLSocket):
                sock.do_handshake()
            response = _talk(sock, target, headers, limits, is_wanted)
            if deadline.passed:
                raise TimeoutError  # a body of no announced length ends where the socket was shut
            return response
        except (OSError, http.client.HTTPException, zlib.error, EOFError) as error:
            raise _lost(target, error, limits, is_late=deadline.passed or isinstance(error, TimeoutError)) from error


def _lost(target: Target, error: Exception, limits: Limits, *, is_late: bool) -> Trouble:
    if is_late:
        return Trouble(
            f"{target.host} took longer than {limits.timeout_s:g} s", help="try again, or raise index.web.timeout_s"
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return Trouble(
            f"the certificate of {target.host} is not valid: {error.verify_message}",
            help="an authority of your own: set SSL_CERT_FILE where the Index service runs",
        )
    return Trouble(
        f"the answer of {target.host} broke off: {str(error) or type(error).__name__}", help="try again later"
    )


def _connect(addresses: Sequence[str], target: Target, timeout_s: float) -> socket.socket:
    said = ""
    for address in addresses:
        try:
            return socket.create_connection((address, target.port), timeout_s / len(addresses))
        except OSError as error:
            said = str(error)
    raise Trouble(f"no connection to {target.host} port {target.port}: {said}", help="check that it is up")


def _talk(
    sock: socket.socket,
    target: Target,
    headers: Mapping[str, str],
    limits: Limits,
    is_wanted: Callable[[Response], bool],
) -> Response:
    sock.settimeout(limits.timeout_s)
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.sock = sock
    sent = {"Host": target.origin.partition("://")[2], "Accept-Encoding": "gzip", "Connection": "close", **headers}
    connection.request("GET", target.path, headers=sent)
    with connection.getresponse() as answer:
        response = Response(answer.status, {name.lower(): value for name, value in answer.getheaders()})
        if not is_wanted(response):
            return response
        return Response(response.status, response.headers, _body(answer, response.headers, limits.max_bytes))


def _body(answer: http.client.HTTPResponse, headers: Mapping[str, str], max_bytes: int) -> bytes:
    if (answer.length or 0) > max_bytes:
        raise _too_large(max_bytes)
    packing = headers.get("content-encoding", "identity").strip().lower()
    if packing not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise Trouble(f"the answer is packed as {packing}, which was not asked for", help="download the page yourself")
    unpacker = None if packing in ("", "identity") else zlib.decompressobj(GZIP_OR_ZLIB)
    body = bytearray()
    while part := answer.read(READ_BYTES):
        # A bomb of a few bytes unpacks to gigabytes, so no more is unpacked than may come.
        body += unpacker.decompress(part, max_bytes + 1 - len(body)) if unpacker else part
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
    if answer.length or (unpacker and not unpacker.eof and body):
        raise EOFError("fewer bytes came than were announced")
    return bytes(body)


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(
        f"the page has more than {max_bytes / 1e6:.3g} MB", help="raise index.web.max_mb, or add it as a file"
    )
