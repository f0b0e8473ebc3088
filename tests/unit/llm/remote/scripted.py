"""A server that answers by a script, faults included: real sockets, a thread for each connection."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

from clients.config import Model

HANG = b"\0hang"
HANG_UP = b""
Reply = bytes | list[bytes]


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any = None


def as_json(value: object, status: int = 200, **headers: str) -> bytes:
    return as_text(json.dumps(value), status, "application/json", **headers)


def as_text(text: str, status: int = 200, kind: str = "text/html", **headers: str) -> bytes:
    body = text.encode()
    extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} Some\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


def as_stream(*events: object, is_whole: bool = True) -> list[bytes]:
    """A stream of events in chunks; ``is_whole`` ends the body as HTTP wants it."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    lines = [f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode() for event in events]
    chunks = [f"{len(line):x}\r\n".encode() + line + b"\r\n" for line in lines]
    return [head, *chunks, b"0\r\n\r\n" if is_whole else HANG_UP]


def delta(text: str = "", finish: str | None = None, **more: str) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": {"content": text, **more}, "finish_reason": finish}]}


@dataclass
class Scripted:
    """Answers each path with the replies that were set for it in turn, the last one again and again.

    A reply is bytes, or a list of them between which it waits ``pause_s``; HANG says nothing more until the
    client leaves, HANG_UP closes the connection.
    While there is a ``hold``, nothing is answered before as many requests are there as it wants.
    """

    replies: dict[str, list[Reply]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    pause_s: float = 0.0
    num_connections: int = 0
    port_wanted: int = 0
    hold: threading.Barrier | None = None
    left: threading.Event = field(default_factory=threading.Event)

    def on(self, path: str, *replies: Reply) -> None:
        self.replies[path] = list(replies)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", self.port_wanted))
        self._threads = [threading.Thread(target=self._accept)]
        self._sockets: list[socket.socket] = []
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join()
        self.hang_up()
        for thread in self._threads[1:]:
            thread.join()

    def hang_up(self) -> None:
        """Close every connection that there is."""
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def model(self, name: str = "m", **settings: Any) -> Model:
        return Model(name, "remote", **{"url": self.url, "timeout_s": 5.0, **settings})

    def bodies(self, path: str) -> list[Any]:
        return [asked.body for asked in self.asked if asked.path == path]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.num_connections += 1
            self._sockets.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as file:
            while (asked := _read(file)) is not None:
                self.asked.append(asked)
                if self.hold:
                    self.hold.wait()
                if not self._reply(connection, self._next(asked.path)):
                    return

    def _next(self, path: str) -> Reply:
        replies = self.replies.get(path)
        if not replies:
            return as_json({"detail": "Not Found"}, 404)
        return replies.pop(0) if len(replies) > 1 else replies[0]

    def _reply(self, connection: socket.socket, reply: Reply) -> bool:
        """Whether the connection goes on."""
        for part in reply if isinstance(reply, list) else [reply]:
            if part == HANG_UP:
                return False
            try:
                if part == HANG:
                    if not connection.recv(1):
                        self.left.set()
                    return False
                connection.sendall(part)
            except OSError:
                self.left.set()
                return False
            if self.pause_s:
                time.sleep(self.pause_s)
        return True


def _read(file: Any) -> Asked | None:
    try:
        line = file.readline().decode()
        if not line:
            return None
        method, path, _ = line.split()
        headers = dict(_headers(file))
        body = file.read(int(headers.get("content-length", 0)))
    except (OSError, ValueError):
        return None
    return Asked(method, path, headers, json.loads(body) if body else None)


def _headers(file: Any) -> Iterator[tuple[str, str]]:
    while line := file.readline().decode().strip():
        name, _, value = line.partition(":")
        yield name.lower(), value.strip()


def serves_all(server: Scripted, name: str = "m", owner: str = "vllm") -> None:
    """A server without faults, in all three roles."""
    server.on(
        "/v1/models", as_json({"object": "list", "data": [{"id": name, "owned_by": owner, "max_model_len": 512}]})
    )
    server.on("/v1/embeddings", as_json({"data": [{"index": 0, "embedding": [3.0, 4.0]}]}))
    server.on("/v1/rerank", ranked(0.9, 0.1))
    server.on("/v1/chat/completions", as_json({"choices": [{"message": {"content": "x"}, "finish_reason": "length"}]}))


def ranked(*scores: float) -> bytes:
    return as_json({"results": [{"index": i, "relevance_score": score} for i, score in enumerate(scores)]})
