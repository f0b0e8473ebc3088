"""A model hub in miniature: the addresses and answers of the real one, with faults to order."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE_BYTES = 1000


@dataclass
class HubServer:
    """What the server has and how it misbehaves.

    Attributes:
        folder: files of the one repository ``owner/name``.
        faults: answers to give instead of the next ones: a status, or the number of bytes after which a file
            is cut, as a negative number.
        retry_after: seconds to name with a 429.
        lies: the hashes are those of other files.
        token: that must be sent; empty asks for none.
        requests: path and Range of each request for a file.
    """

    folder: Path
    address: str = ""
    faults: list[int] = field(default_factory=list)
    retry_after: str = ""
    lies: bool = False
    token: str = ""
    ignores_range: bool = False
    requests: list[tuple[str, str]] = field(default_factory=list)

    def listing(self) -> dict[str, object]:
        """What the hub's API says of the repository."""
        siblings = [self._entry(path) for path in sorted(self.folder.rglob("*")) if path.is_file()]
        return {"sha": COMMIT, "gated": False, "cardData": {"license": "mit"}, "siblings": siblings}

    def _entry(self, path: Path) -> dict[str, object]:
        raw = path.read_bytes() + (b"!" if self.lies else b"")
        size = path.stat().st_size
        entry: dict[str, object] = {"rfilename": str(path.relative_to(self.folder)), "size": size}
        entry["blobId"] = hashlib.sha1(b"blob %d\0" % len(raw) + raw).hexdigest()
        if size > LARGE_BYTES:
            entry["lfs"] = {"sha256": hashlib.sha256(raw).hexdigest(), "size": size}
        return entry


@contextmanager
def serving(hub: HubServer) -> Iterator[HubServer]:
    """The hub behind a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self, hub)

        def log_message(self, format, *arguments):  # noqa: A002 - the name that the library calls with
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    yield hub
    server.shutdown()
    server.server_close()
    thread.join()


def answer(handler: BaseHTTPRequestHandler, hub: HubServer) -> None:
    path = handler.path.partition("?")[0]
    if hub.token and handler.headers.get("Authorization") != f"Bearer {hub.token}":
        status(handler, 401)
    elif re.fullmatch(rf"/api/models/owner/name/revision/(main|v1|{COMMIT})", path):
        body(handler, 200, json.dumps(hub.listing()).encode(), len(json.dumps(hub.listing()).encode()))
    elif (match := re.fullmatch(rf"/owner/name/resolve/{COMMIT}/(.+)", path)) and (hub.folder / match[1]).is_file():
        send(handler, hub, match[1])
    else:
        status(handler, 404)


def send(handler: BaseHTTPRequestHandler, hub: HubServer, name: str) -> None:
    asked = handler.headers.get("Range", "")
    hub.requests.append((name, asked))
    fault = hub.faults.pop(0) if hub.faults else 0
    if fault > 0:
        status(handler, fault, hub.retry_after)
        return
    raw = (hub.folder / name).read_bytes()
    begin = 0 if hub.ignores_range else int(asked[len("bytes=") : -1] or 0) if asked else 0
    rest = raw[begin:]
    body(handler, 206 if begin else 200, rest[: -fault or None], len(rest))


def body(handler: BaseHTTPRequestHandler, code: int, raw: bytes, length: int) -> None:
    handler.send_response(code)
    handler.send_header("Content-Length", str(length))
    handler.end_headers()
    handler.wfile.write(raw)


def status(handler: BaseHTTPRequestHandler, code: int, retry_after: str = "") -> None:
    handler.send_response(code)
    if retry_after:
        handler.send_header("Retry-After", retry_after)
    handler.send_header("Content-Length", "0")
    handler.end_headers()
