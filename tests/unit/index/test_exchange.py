"""A server of vectors is asked over HTTP: with its token, within its time, and with a word for each way to fail."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from clients.config import Index
from clients.errors import AlreadyExists, BackendError, ConfigError, NotFound, RagqError, StoreAway
from services.index.stores import exchange as words
from services.index.stores.exchange import Exchange
from services.index.storing import _token

SILENT_S = 0.4


class Answers(BaseHTTPRequestHandler):
    """Answers with the status that the path ends with; some paths take their time, or hang up."""

    protocol_version = "HTTP/1.1"
    asked: list[tuple[str, str]] = []  # noqa: RUF012 - each test empties it

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Authorization", "")))
        status = self.path.rpartition("/")[2]
        if status == "slow":
            time.sleep(2 * SILENT_S)
        body = b'{"told": true}'
        self.send_response(int(status) if status.isdigit() else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if status == "hangup":
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(certificate: tuple[Path, Path] | None = None) -> Iterator[str]:
    Answers.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http{'s' if certificate else ''}://localhost:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def url() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture
def exchange(url: str) -> Iterator[Exchange]:
    made = Exchange(lambda: f"{url}/below/", "secret", "start it")
    yield made
    made.close()


def test_the_token_and_the_path_of_the_address_go_with_every_request(exchange: Exchange) -> None:
    for _ in range(2):
        assert exchange.ask("GET", "/some", timeout_s=5) == {"told": True}
    assert Answers.asked == [("/below/some", "Bearer secret")] * 2


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, NotFound),
        (409, AlreadyExists),
        (401, BackendError),
        (400, BackendError),
        (429, StoreAway),
        (503, StoreAway),
    ],
)
def test_each_refusal_has_its_error(exchange: Exchange, status: int, error: type[RagqError]) -> None:
    with pytest.raises(error) as refused:
        exchange.ask("GET", f"/{status}", timeout_s=5)
    assert type(refused.value) is error
    assert exchange.ask("GET", "/some", timeout_s=5)
    if status == 401:
        assert "index.chroma_token" in refused.value.help


def test_a_connection_that_the_server_closed_meanwhile_is_replaced(exchange: Exchange) -> None:
    for _ in range(3):
        assert exchange.ask("GET", "/hangup", timeout_s=5)
    assert len(Answers.asked) == 3


def test_a_server_that_says_nothing_costs_one_wait(url: str) -> None:
    now = [0.0]
    exchange = Exchange(lambda: url, cure="start it", clock=lambda: now[0])
    for waits in (True, False, False):
        began = time.monotonic()
        with pytest.raises(StoreAway, match=r"said nothing for 0\.4 s") as away:
            exchange.ask("GET", "/slow", timeout_s=SILENT_S)
        assert (time.monotonic() - began > 0.9 * SILENT_S) == waits
        assert (away.value.retryable, away.value.help) == (True, "start it")
    now[0] = words.REST_S + 0.1
    assert exchange.ask("GET", "/some", timeout_s=5)
    exchange.close()


def test_a_server_that_is_not_there_is_away_and_asked_anew_where_it_is_next(url: str) -> None:
    places = ["http://127.0.0.1:9", url]
    exchange = Exchange(lambda: places.pop(0))
    with pytest.raises(StoreAway, match="refused"):
        exchange.ask("GET", "/some", timeout_s=5)
    assert exchange.ask("GET", "/some", timeout_s=5)
    exchange.close()


def test_a_certificate_that_this_machine_does_not_trust_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = _certificate(tmp_path)
    with serving((certificate, key)) as address:
        exchange = Exchange(lambda: address)
        with pytest.raises(StoreAway, match="certificate") as refused:
            exchange.ask("GET", "/some", timeout_s=5)
        assert "SSL_CERT_FILE" in refused.value.help
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert exchange.ask("GET", "/some", timeout_s=5) == {"told": True}
        exchange.close()


def _certificate(folder: Path) -> tuple[Path, Path]:
    if not (program := shutil.which("openssl")):
        pytest.skip("openssl makes the certificate, and is not here")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "30")
    subprocess.run(
        [program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, *subject],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


def test_a_token_may_be_the_name_of_an_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    def token(text: str) -> str:
        return _token(Index(chroma_token=text))

    assert token("plain") == "plain"
    monkeypatch.setenv("CHROMA_KEY", "from the environment")
    assert token("$CHROMA_KEY") == "from the environment"
    with pytest.raises(ConfigError, match="CHROMA_OTHER is not set"):
        token("$CHROMA_OTHER")
