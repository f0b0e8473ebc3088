"""How is a server reached: directly or through the proxy of the environment, with its certificate checked."""

from __future__ import annotations

import base64
import http.client
import select
import socket
import ssl
import threading
from contextlib import suppress
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from clients.errors import BackendError, RagqError, Unreachable

from .address import DEFAULT_PORTS, Address

CONNECT_S = 5.0
MAX_IDLE = 16


class Connection:
    """One connection to a server; it may carry many requests, one after another.

    Raises:
        Unreachable: nobody is there, or the name is not known.
        BackendError: the certificate is not trusted, or the server speaks no TLS.
    """

    def __init__(self, address: Address, context: ssl.SSLContext | None, timeout_s: float) -> None:
        self.address = address
        self.is_used = False
        proxy = _proxy(address)
        self._prefix = f"{address.scheme}://{address.authority}" if proxy and context is None else ""
        self._headers = _authorization(proxy) if self._prefix and proxy else {}
        self._http = _dial(address, proxy, context, min(timeout_s, CONNECT_S))
        try:
            self._http.connect()
        except (OSError, http.client.HTTPException) as error:
            self._http.close()
            raise _reason(address, proxy, error) from error
        assert self._http.sock is not None
        self._socket: socket.socket = self._http.sock
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> http.client.HTTPResponse:
        """Send a request; returns when the head of the answer is there.

        Raises:
            OSError: as sockets do.
            http.client.HTTPException: the answer is no HTTP.
        """
        self._http.request(method, self._prefix + target, body or None, {**headers, **self._headers})
        return self._http.getresponse()

    def be_patient(self, timeout_s: float) -> None:
        """How long the next reading or writing may take, in seconds."""
        self._socket.settimeout(max(0.001, timeout_s))

    @property
    def is_alive(self) -> bool:
        """Whether the server has kept it; nothing may arrive before the next request."""
        if self._http.sock is None:
            return False
        return not select.select([self._socket], [], [], 0)[0]

    def shut(self) -> None:
        """End it while another thread reads from it, which gets the end of the data at once."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of it."""
        self._http.close()


class Connections:
    """The connections to one server; those that nobody uses are kept."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._context = ssl.create_default_context() if address.scheme == "https" else None
        self._lock = threading.Lock()
        self._idle: list[Connection] = []

    def take(self, timeout_s: float) -> Connection:
        """One that is alive, or a new one."""
        while (connection := self._pop()) is not None:
            if connection.is_alive:
                return connection
            connection.close()
        return Connection(self._address, self._context, timeout_s)

    def give_back(self, connection: Connection) -> None:
        """Nothing is under way on it any more."""
        connection.is_used = True
        with self._lock:
            if len(self._idle) < MAX_IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close those that nobody uses."""
        while (connection := self._pop()) is not None:
            connection.close()

    def _pop(self) -> Connection | None:
        with self._lock:
            return self._idle.pop() if self._idle else None


def _proxy(address: Address) -> SplitResult | None:
    url = getproxies().get(address.scheme, "")
    if not url or proxy_bypass(f"{address.host}:{address.port}"):
        return None
    return urlsplit(url if "://" in url else f"http://{url}")


def _authorization(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    credential = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": "Basic " + base64.b64encode(credential.encode()).decode()}


def _dial(
    address: Address, proxy: SplitResult | None, context: ssl.SSLContext | None, timeout_s: float
) -> http.client.HTTPConnection:
    host, port = address.host, address.port
    if proxy is not None:
        host, port = proxy.hostname or "", proxy.port or DEFAULT_PORTS["http"]
    if context is None:
        return http.client.HTTPConnection(host, port, timeout=timeout_s)
    connection = http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)
    if proxy is not None:
        connection.set_tunnel(address.host, address.port, _authorization(proxy))
    return connection


def _reason(address: Address, proxy: SplitResult | None, error: Exception) -> RagqError:
    """What a connection that did not come about means to a person."""
    where = f"{address}" + (f" (through the proxy {proxy.hostname}:{proxy.port})" if proxy else "")
    match error:
        case socket.gaierror():
            name = proxy.hostname if proxy else address.host
            return Unreachable(f"{where}: the name '{name}' is not known", help="check 'url', and the network's names")
        case ssl.SSLCertVerificationError():
            return BackendError(
                f"{where}: the certificate is not trusted: {error.verify_message}",
                help="name the certificate of its authority in the environment variable SSL_CERT_FILE",
            )
        case ssl.SSLError():
            return BackendError(
                f"{where}: no TLS connection: {error.reason or error}",
                help="a server without TLS needs http:// in 'url'",
            )
        case TimeoutError():
            return Unreachable(f"{where} does not answer", help="is the host right, and no firewall between?")
        case ConnectionRefusedError():
            return Unreachable(f"{where}: the connection is refused", help="is the server running, and the port right?")
    return Unreachable(f"{where} cannot be reached: {error}", help="check 'url' and the network")
