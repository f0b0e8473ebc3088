"""What is found out before a remote model fills a role, and what is said when it cannot."""

from __future__ import annotations

import http.server
import os
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clients.config import Model
from clients.errors import ConfigError, ModelNotLoaded
from services.llm.backends.remote import probe
from tests.conftest import free_ports
from tests.unit.llm.remote.conftest import Loader
from tests.unit.llm.remote.scripted import HANG, HANG_UP, Reply, Scripted, as_json, as_text, ranked

ENDPOINTS = {"embed": "/v1/embeddings", "rerank": "/v1/rerank", "generate": "/v1/chat/completions"}
PAGE = as_text("<!doctype html><html><title>Chat</title></html>")


@pytest.mark.parametrize("role", ENDPOINTS)
def test_a_role_is_filled_by_its_endpoint_alone(role: str, server: Scripted, remote: Loader) -> None:
    model = remote.load(role, server.model())
    card = model.card
    assert (card.name, card.kind, card.roles, card.max_tokens) == ("m", "remote", (role,), 512)
    assert {asked.path for asked in server.asked} == {"/v1/models", ENDPOINTS[role]}


def test_the_dimension_is_measured(server: Scripted, remote: Loader) -> None:
    assert remote.embedder(server.model()).card.dimension == 2


@pytest.mark.parametrize(
    ("reply", "message", "help_text"),
    [
        (as_json({"error": {"message": "bad key"}}, 401), "answers 401: bad key", "api_key"),
        (as_json({"detail": "no"}, 403), "answers 403: no", "api_key"),
        (as_json({"error": "oops"}, 500), "answers 500: oops", "log of that server"),
        (as_json({"error": {"message": "overloaded"}}, 503), "answers 503: overloaded", "try again"),
        (as_json({"error": {"message": "slow down"}}, 429, Retry_After="60"), "slow down", "try again"),
        (as_text("", 302, Location="https://else/v1"), "answers 302: Found", "https://else/v1"),
        (PAGE, "a web page: no model server", "/v1"),
        (as_text("hello", kind="text/plain"), "no JSON", "/v1"),
        (HANG_UP, "closed the connection without an answer", "https://"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "does not answer in HTTP", "https://"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", HANG_UP], "broke off in the middle", "log"),
    ],
    ids=["401", "403", "500", "503", "429", "redirect", "page", "text", "hang-up", "ssh", "cut"],
)
@pytest.mark.parametrize("path", ["/v1/models", "/v1/embeddings"])
def test_what_stands_in_the_way_is_said_with_what_to_do(
    path: str, reply: Reply, message: str, help_text: str, server: Scripted, remote: Loader
) -> None:
    server.on(path, reply)
    with pytest.raises(ModelNotLoaded, match=message) as caught:
        remote.embedder(server.model(timeout_s=1.0))
    assert help_text in caught.value.help
    assert path in caught.value.message


def test_a_missing_model_names_the_nearest_that_the_server_has(server: Scripted, remote: Loader) -> None:
    server.on("/v1/models", as_json({"data": [{"id": "qwen3-0.6b"}, {"id": "bge-m3"}]}))
    with pytest.raises(ModelNotLoaded, match=r"no model 'qwen3-0\.6'") as caught:
        remote.embedder(server.model("qwen3-0.6"))
    assert "qwen3-0.6b" in caught.value.help
    with pytest.raises(ModelNotLoaded) as caught:
        remote.embedder(server.model("xyz"))
    assert caught.value.help == "it has: bge-m3, qwen3-0.6b"


def test_the_tag_that_ollama_adds_may_be_left_out(server: Scripted, remote: Loader) -> None:
    server.on("/v1/models", as_json({"data": [{"id": "m:latest", "owned_by": "library"}]}))
    remote.embedder(server.model("m"))
    assert server.bodies("/v1/embeddings")[0]["model"] == "m:latest"


def test_an_address_without_v1_is_told_where_most_servers_answer(server: Scripted, remote: Loader) -> None:
    with pytest.raises(ModelNotLoaded, match="answers 404") as caught:
        remote.embedder(server.model(url=server.url.removesuffix("/v1")))
    assert "/v1" in caught.value.help


@pytest.mark.parametrize("role", ["embed", "generate"])
@pytest.mark.parametrize(
    "reply",
    [
        as_json({"error": {"message": "The model does not support this API"}}, 400),
        as_json({"error": {"message": "This server does not support it"}}, 501),
        as_json({"error": "Unexpected endpoint or method."}),
        as_json({"detail": "Not Found"}, 404),
        as_json({"detail": "Method Not Allowed"}, 405),
    ],
)
def test_a_model_in_the_wrong_role_is_no_model(role: str, reply: bytes, server: Scripted, remote: Loader) -> None:
    server.on(ENDPOINTS[role], reply)
    with pytest.raises(ModelNotLoaded, match=ENDPOINTS[role]) as caught:
        remote.load(role, server.model())
    assert caught.value.help


def test_a_model_that_cannot_rerank_says_what_the_endpoint_said(server: Scripted, remote: Loader) -> None:
    server.on("/v1/rerank", as_json({"error": {"message": "does not support reranking", "code": 501}}, 501))
    with pytest.raises(ModelNotLoaded, match=r"no scores from 'm'.*does not support reranking"):
        remote.scorer(server.model())


def test_nobody_at_the_port_is_said(remote: Loader) -> None:
    (port,) = free_ports(1)
    with pytest.raises(ModelNotLoaded, match="the connection is refused") as caught:
        remote.embedder(Model("m", "remote", url=f"http://127.0.0.1:{port}/v1"))
    assert "running" in caught.value.help


def test_a_name_that_nobody_knows_is_said(remote: Loader) -> None:
    with pytest.raises(ModelNotLoaded, match=r"the name 'nowhere\.invalid' is not known"):
        remote.embedder(Model("m", "remote", url="http://nowhere.invalid:8000/v1"))


def test_tls_to_a_server_without_it_is_said(server: Scripted, remote: Loader) -> None:
    server.on("/v1/models", PAGE)
    with pytest.raises(ModelNotLoaded, match=r"no TLS connection|cannot be reached"):
        remote.embedder(server.model(url=server.url.replace("http:", "https:")))


def test_a_server_that_accepts_and_says_nothing_is_given_up_in_time(
    server: Scripted, remote: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "PROBE_S", 0.2)
    server.on("/v1/models", HANG)
    start = time.monotonic()
    with pytest.raises(ModelNotLoaded, match=r"said nothing for 0\.2 s"):
        remote.embedder(server.model())
    assert time.monotonic() - start < 3.0


def test_a_server_that_drips_is_given_up_as_well(server: Scripted, remote: Loader) -> None:
    server.pause_s = 0.1
    server.on("/v1/models", [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", *[b" "] * 1000])
    with pytest.raises(ModelNotLoaded, match="said nothing for"):
        remote.embedder(server.model(timeout_s=0.5))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"url": ""}, "llm.generate.url is empty"),
        ({"api_key": "$NOT_SET_ANYWHERE"}, "NOT_SET_ANYWHERE is not set"),
        ({"timeout_s": 0.0}, "timeout_s is 0"),
        ({"options": {"stream_count": 2}}, "unknown key 'llm.generate.options.stream_count'"),
        ({"options": {"streams": 0}}, "1 at the least"),
        ({"options": {"server": "vlm"}}, "llm.generate.options.server"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], why: str, remote: Loader) -> None:
    with pytest.raises(ConfigError, match=why):
        remote.generator(Model("m", "remote", **{"url": "http://127.0.0.1:9/v1", **settings}))


def test_the_key_goes_along(server: Scripted, remote: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-1")
    remote.embedder(server.model(api_key="$MY_KEY"))
    assert {asked.headers["authorization"] for asked in server.asked} == {"Bearer sk-1"}


def test_a_proxy_is_asked(server: Scripted, remote: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://me:pass@127.0.0.1:{server.port}")
    base = "http://models.example/v1"
    for path in ("/models", "/embeddings"):
        server.on(base + path, *server.replies["/v1" + path])
    assert remote.embedder(server.model(url=base)).card.dimension == 2
    assert {asked.headers["proxy-authorization"] for asked in server.asked} == {"Basic bWU6cGFzcw=="}
    assert {asked.headers["host"] for asked in server.asked} == {"models.example"}


def test_exceptions_of_a_proxy_are_kept(server: Scripted, remote: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://nowhere.invalid:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert remote.embedder(server.model()).card.dimension == 2


def test_tei_is_known_by_its_info(server: Scripted, remote: Loader) -> None:
    server.replies.clear()
    server.on("/info", as_json({"model_id": "BAAI/bge-reranker-v2-m3", "max_input_length": 512, "model_sha": "abc"}))
    server.on("/rerank", as_json({"error": "missing field `texts`"}, 422), as_json([
        {"index": 1, "score": -4.0}, {"index": 0, "score": 3.0},
    ]))  # fmt: skip
    for url in (server.url, server.url.removesuffix("/v1")):
        scorer = remote.scorer(server.model("bge-reranker-v2-m3", url=url))
        assert scorer.kind == "logit"
        assert scorer.card.max_tokens == 512
        server.on("/rerank", *[as_json({}, 422), as_json([{"index": 1, "score": -4.0}, {"index": 0, "score": 3.0}])])
    with pytest.raises(ModelNotLoaded, match="no model 'another'"):
        remote.scorer(server.model("another"))


@pytest.mark.parametrize(("scores", "kind"), [((0.9, 0.1), "probability"), ((4.0, -4.0), "logit")])
def test_the_scale_is_found_out(scores: tuple[float, float], kind: str, server: Scripted, remote: Loader) -> None:
    server.on("/v1/rerank", ranked(*scores))
    assert remote.scorer(server.model()).kind == kind


def test_a_constant_score_raises_an_alarm(server: Scripted, remote: Loader, caplog: pytest.LogCaptureFixture) -> None:
    server.on("/v1/rerank", ranked(0.5, 0.5))
    remote.scorer(server.model())
    assert "no higher than one that does not" in caplog.text


@pytest.fixture
def https(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A server with a certificate of its own making."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate),
         "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        capture_output=True, check=False, env=dict(os.environ),
    )  # fmt: skip
    if made.returncode:
        pytest.skip("openssl makes no certificate here")

    class Models(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(as_json({"data": [{"id": "m"}]}))

        def do_POST(self) -> None:
            self.wfile.write(as_json({"data": [{"index": 0, "embedding": [1.0]}]}))

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Models) as server:
        server.handle_error = lambda *_: None  # type: ignore[assignment,method-assign]
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, certificate
        server.shutdown()
        thread.join()


def test_a_certificate_is_checked(https: tuple[int, Path], remote: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    port, certificate = https
    settings = Model("m", "remote", url=f"https://localhost:{port}/v1")
    with pytest.raises(ModelNotLoaded, match="the certificate is not trusted") as caught:
        remote.embedder(settings)
    assert "SSL_CERT_FILE" in caught.value.help
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert remote.embedder(settings).card.dimension == 1
