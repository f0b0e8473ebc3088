"""A real proxy in a thread, and peers of it made by hand."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from clients.greetings import Hello, Ready
from clients.packing import pack, unpack_map
from clients.wire import Envelope, Kind, Method, decode, message, method_key
from proxies.proxy import Proxy
from tests.conftest import free_ports
from tests.mesh.raw import SILENCE_MS, raw_dealer

METHOD = "by.hand"
KEY = method_key(METHOD)


class Peer:
    """A socket that speaks the protocol word by word."""

    def __init__(self, address: str) -> None:
        self.socket = raw_dealer(address)

    def say(self, *frames: Any) -> None:
        """Send a message."""
        self.socket.send_multipart(frames)

    def hear(self) -> list[bytes]:
        """The next message, whatever it is."""
        assert self.socket.poll(SILENCE_MS), "the proxy says nothing"
        return self.socket.recv_multipart()

    def is_silent(self, for_ms: int = 200) -> bool:
        """Whether nothing but PINGs comes for a while."""
        while self.socket.poll(for_ms):
            if decode(self.socket.recv_multipart()[-1]).kind is not Kind.PING:
                return False
        return True

    def close(self) -> None:
        """Leave without a word."""
        self.socket.close(0)


class HandClient(Peer):
    """A client made by hand."""

    def call(
        self, call_id: int = 1, *, flags: int = 0, method: int = KEY, ttl_ms: int = 30_000, body: bytes = b""
    ) -> None:
        """Call the method of the worker made by hand."""
        self.say(Envelope(Kind.CALL, call_id, flags=flags, method=method, ttl_ms=ttl_ms, body=body).encode())

    def next(self) -> Envelope:
        """The next message that is no PING."""
        while (envelope := decode(self.hear()[0])).kind is Kind.PING:
            pass
        return envelope

    def hello(self) -> Envelope:
        """Say HELLO; what the proxy answers."""
        self.say(*message(Envelope(Kind.HELLO, 0), pack(Hello("1", "host", 1))))
        return self.next()

    def builtin(self, method: Method[Any, Any, Any], request: Any, call_id: int = 9) -> list[bytes]:
        """Call a built-in method; the frames of the answer."""
        self.say(*message(Envelope(Kind.CALL, call_id, method=method.key), pack(request)))
        return self.hear()

    def refusal(self) -> str:
        """The reason of the error that comes next."""
        envelope = self.next()
        assert envelope.kind is Kind.ERROR, envelope
        return str(unpack_map(envelope.meta)["reason"])


class HandWorker(Peer):
    """A worker made by hand, which has presented itself."""

    def __init__(self, address: str, *, slots: int = 8, uuid: str = "hand", pid: int = 1) -> None:
        super().__init__(address)
        self.ready = Ready(uuid, pid, "host", "trial", [METHOD], slots)
        self.tell(Kind.READY, self.ready)

    def tell(self, kind: Kind, body: Any = None) -> None:
        """Say something about itself."""
        head = Envelope(kind, 0)
        self.say(b"", *([head.encode()] if body is None else message(head, pack(body))))

    def next(self) -> tuple[bytes, Envelope]:
        """Route and envelope of the next message that is no PING."""
        while True:
            route, head = self.hear()[:2]
            if (envelope := decode(head)).kind is not Kind.PING:
                return route, envelope

    def reply(self, route: bytes, call_id: int, kind: Kind = Kind.REPLY, **fields: Any) -> None:
        """Say something about a call."""
        self.say(route, Envelope(kind, call_id, **fields).encode())


class Place:
    """Where the proxy listens, and everyone who came.

    Attributes:
        proxy: runs in a thread.
    """

    def __init__(self, front: str = "", back: str = "", **options: Any) -> None:
        ports = free_ports(2)
        self.front, self.back = front or f"tcp://127.0.0.1:{ports[0]}", back or f"tcp://127.0.0.1:{ports[1]}"
        self.proxy = Proxy("trial", self.front, self.back, **options)
        self.thread = threading.Thread(target=self.proxy.run, daemon=True)
        self._peers: list[Peer] = []

    def client(self) -> HandClient:
        """A client more."""
        client = HandClient(self.front)
        self._peers.append(client)
        return client

    def worker(self, **about: Any) -> HandWorker:
        """A worker more, known to the proxy by now."""
        num = len(self.proxy.status().workers)
        worker = HandWorker(self.back, **about)
        self._peers.append(worker)
        worker.tell(Kind.PING)
        assert worker.next()[1].kind is Kind.PONG
        assert len(self.proxy.status().workers) == num + 1
        return worker

    def controller(self, address: str) -> HandClient:
        """A peer at the control socket."""
        client = HandClient(address)
        self._peers.append(client)
        return client

    def close(self) -> None:
        """End at once."""
        for peer in self._peers:
            peer.close()
        self.proxy.stop()
        self.proxy.stop()
        self.thread.join(20)
        assert not self.thread.is_alive()


@contextmanager
def place(**options: Any) -> Iterator[Place]:
    """A running proxy without workers."""
    found = Place(**options)
    found.thread.start()
    try:
        yield found
    finally:
        found.close()
