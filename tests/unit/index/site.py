"""A web server on this machine whose pages a test writes, wrong ones too."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Act = Callable[["Visit"], None]


class Visit(BaseHTTPRequestHandler):
    """One request; ``send`` is an honest answer, ``raw`` is any bytes at all."""

    site: Site

    def do_GET(self) -> None:
        self.site.asked.append(self.path)
        self.site.headers.append({name.lower(): value for name, value in self.headers.items()})
        act = self.site.pages.get(self.path)
        if act is None:
            self.send(b"nothing here", "text/plain", status=404)
        else:
            act(self)

    def send(self, body: bytes, kind: str = "text/html", *, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if kind:
            self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def raw(self, answer: bytes) -> None:
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up early is what many of the tests are about."""


class Site:
    def __init__(self, port: int) -> None:
        self.port = port
        self.pages: dict[str, Act] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def page(self, path: str, body: bytes | str, kind: str = "text/html", *, status: int = 200, **headers: str) -> str:
        raw = body.encode() if isinstance(body, str) else body
        self.pages[path] = lambda visit: visit.send(raw, kind, status=status, **headers)
        return self.url(path)

    def act(self, path: str, act: Act) -> str:
        self.pages[path] = act
        return self.url(path)

    def moved(self, path: str, to: str, status: int = 302) -> str:
        return self.page(path, b"", status=status, Location=to)


@contextmanager
def running_site() -> Iterator[Site]:
    server = Quiet(("127.0.0.1", 0), Visit)
    site = Site(server.server_port)
    server.RequestHandlerClass = type("VisitHere", (Visit,), {"site": site})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield site
    server.shutdown()
    server.server_close()
    thread.join()
