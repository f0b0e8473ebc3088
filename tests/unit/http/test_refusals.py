"""What the face refuses, and how it says so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from clients.config import Config, Face
from clients.errors import (
    BadRequest,
    ConfigError,
)
from proxies.http import app, run
from proxies.http_requests import MAX_BODY_BYTES, parse
from tests.unit.cli.desk import Desk
from tests.unit.http.visits import HELLO

BAD = [
    ("/v1/chat/completions", {"messages": []}, "messages"),
    ("/v1/chat/completions", {}, "messages"),
    ("/v1/chat/completions", {"messages": "hi"}, "messages"),
    ("/v1/chat/completions", {"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
    ("/v1/chat/completions", {"messages": [{"content": "x"}]}, "messages[0].role"),
    ("/v1/chat/completions", {"messages": [7]}, "messages[0]"),
    ("/v1/chat/completions", {"messages": HELLO, "temperature": "hot"}, "temperature"),
    ("/v1/chat/completions", {"messages": HELLO, "temperature": 3}, "temperature"),
    ("/v1/chat/completions", {"messages": HELLO, "max_tokens": 0}, "max_tokens"),
    ("/v1/chat/completions", {"messages": HELLO, "seed": 1 << 70}, "seed"),
    ("/v1/chat/completions", {"messages": HELLO, "n": 2}, "n"),
    ("/v1/chat/completions", {"messages": HELLO, "tools": [{}]}, "tools"),
    ("/v1/chat/completions", {"messages": HELLO, "response_format": {"type": "xml"}}, "response_format"),
    ("/v1/chat/completions", {"messages": HELLO, "response_format": {"type": "json_schema"}}, "response_format"),
    ("/v1/chat/completions", {"messages": HELLO, "logit_bias": {"11": 5}}, "logit_bias"),
    ("/v1/chat/completions", {"messages": HELLO, "logit_bias": {"the": -100}}, "logit_bias"),
    ("/v1/chat/completions", {"messages": HELLO, "min_p": 2}, "min_p"),
    ("/v1/chat/completions", {"messages": HELLO, "ragq": {"answr": "x"}}, "ragq.answr"),
    ("/v1/chat/completions", {"messages": HELLO, "ragq": {"answer": "loud"}}, "ragq.answer"),
    ("/v1/chat/completions", {"messages": HELLO, "ragq": {"threshold": 2}}, "ragq.threshold"),
    ("/v1/chat/completions", {"messages": HELLO, "ragq": {"within": [7]}}, "ragq.within.documents[0]"),
    ("/v1/chat/completions", {"messages": HELLO, "ragq": 7}, "ragq"),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages"),
    ("/v1/chat/completions", {"model": "handbook", "messages": [{"role": "assistant", "content": "x"}]}, "messages"),
    ("/v1/embeddings", {}, "input"),
    ("/v1/embeddings", {"input": []}, "input"),
    ("/v1/embeddings", {"input": [""]}, "input[0]"),
    ("/v1/embeddings", {"input": [[1, 2]]}, "input"),
    ("/v1/embeddings", {"input": "x", "dimensions": 7}, "dimensions"),
    ("/v1/embeddings", {"input": "x", "encoding_format": "int8"}, "encoding_format"),
    ("/v1/embeddings", {"input": ["x"] * 2049}, "input"),
    ("/v1/embeddings", {"input": "x", "dimensions": 0}, "dimensions"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "param"), BAD)
def test_a_wrong_field_is_named(http: TestClient, path: str, body: dict[str, object], param: str) -> None:
    response = http.post(path, json=body)
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["param"]) == ("invalid_request_error", param)


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b'{"input": "\\ud800"}', b"[" * 100_000, b"nul"]
)
def test_a_body_that_is_no_json_object_is_400(http: TestClient, raw: bytes) -> None:
    response = http.post("/v1/embeddings", content=raw)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "malformed"


def test_a_body_above_the_limit_is_413(http: TestClient) -> None:
    assert http.post("/v1/embeddings", content=b" " * (MAX_BODY_BYTES + 1)).status_code == 413


def test_token_numbers_are_refused_in_plain_words(http: TestClient) -> None:
    response = http.post("/v1/embeddings", json={"input": [1, 2]})
    assert "expected a text or a list of texts" in response.json()["error"]["message"]


def test_a_number_out_of_range_is_quoted_as_it_was_written(http: TestClient) -> None:
    response = http.post("/v1/chat/completions", json={"messages": HELLO, "ragq": {"top_k": 100000000}})
    assert "ragq.top_k: 100000000 is outside 1 to 100" in response.json()["error"]["message"]


def test_unknown_routes_and_methods_are_json_too(http: TestClient) -> None:
    missing, wrong = http.get("/v1/nothing"), http.get("/v1/embeddings")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_an_object_or_refused(raw: bytes) -> None:
    try:
        found: object = parse(raw)
    except BadRequest:
        found = {}
    assert isinstance(found, dict)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 421),
        ("127.0.0.1.evil.example:7780", 421),
        ("localhost:7780", 200),
        ("[::1]:7780", 200),
        ("127.0.0.2", 200),
    ],
)
def test_a_web_page_cannot_reach_it_by_a_name_of_its_own(http: TestClient, host: str, status: int) -> None:
    assert http.get("/health", headers={"host": host}).status_code == status


def test_on_an_open_bind_any_name_is_served(desk: Desk) -> None:
    open_bind = Config(insecure=True, http=Face(7780, host="0.0.0.0"))
    with TestClient(app(open_bind, desk), base_url="http://ragq.example") as client:
        assert client.get("/health").status_code == 200


def test_an_open_bind_needs_insecure() -> None:
    with pytest.raises(ConfigError, match="other machines"):
        run(Config(http=Face(7780, host="0.0.0.0")))
