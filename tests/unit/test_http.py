"""The HTTP face as its clients see it: shapes, refusals, streams, and clients that go away."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import anyio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from clients.config import Config, Face
from clients.errors import (
    BY_REASON,
    BackendError,
    BadRequest,
    Busy,
    ConfigError,
    DeadlineExceeded,
    Internal,
    ModelNotLoaded,
    NotFound,
    RagqError,
)
from clients.llm import ModelInfo, Models, Token
from proxies.http import app, run
from proxies.http_errors import STATUS, status_of
from proxies.http_requests import MAX_BODY_BYTES, parse
from tests.unit.cli.desk import GENERATOR, Desk

HELLO = [{"role": "user", "content": "hello you"}]


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.index.add("handbook", texts=["the wing gives lift", "the tail gives balance"])
    return desk


@pytest.fixture
def http(desk: Desk) -> Iterator[TestClient]:
    with TestClient(app(desk.config, desk), base_url="http://127.0.0.1:7780", raise_server_exceptions=False) as client:
        yield client


def chat(http: TestClient, **body: object) -> Any:
    return http.post("/v1/chat/completions", json={"model": GENERATOR, "messages": HELLO, **body})


def events(text: str) -> list[Any]:
    frames = [frame.removeprefix("data: ") for frame in text.split("\n\n") if frame]
    return [frame if frame == "[DONE]" else json.loads(frame) for frame in frames]


# -- chat over the model ----------------------------------------------------------------------------


def test_a_completion_has_openais_shape(http: TestClient) -> None:
    found = chat(http).json()
    assert found["object"] == "chat.completion"
    assert found["model"] == GENERATOR
    assert found["choices"][0]["message"]["content"] == "hello you "
    assert found["choices"][0]["finish_reason"] == "stop"
    assert found["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def test_controls_reach_the_model(http: TestClient, desk: Desk) -> None:
    answer = chat(
        http, temperature=0.7, top_p=0.9, max_completion_tokens=1, stop="END", seed=4, user="me", n=1, metadata=None
    )
    assert answer.json()["choices"][0]["message"]["content"] == "hello "
    request = desk.llm_side.requests[-1]
    assert (request.temperature, request.top_p, request.max_tokens, request.stop, request.seed) == (
        0.7,
        0.9,
        1,
        ["END"],
        4,
    )


def test_content_in_parts_and_the_developers_role_are_understood(http: TestClient, desk: Desk) -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    answer = chat(
        http, messages=[{"role": "developer", "content": "rules"}, {"role": "user", "content": parts, "name": "x"}]
    )
    assert answer.status_code == 200, answer.text
    assert [(m.role, m.content) for m in desk.llm_side.requests[-1].messages] == [
        ("system", "rules"),
        ("user", "one\ntwo"),
    ]


def test_a_stream_ends_with_done_and_joins_to_the_whole(http: TestClient) -> None:
    response = chat(http, stream=True, stream_options={"include_usage": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    *chunks, done = events(response.text)
    assert done == "[DONE]"
    assert len({c["id"] for c in chunks}) == 1
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks[:-1]) == "hello you "
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == 2


def test_a_failure_before_the_first_token_has_its_status(http: TestClient, desk: Desk) -> None:
    desk.llm_side.error = ModelNotLoaded("no generation model", help="ragq models pull embedded")
    response = chat(http, stream=True)
    assert response.status_code == 503
    assert response.json()["error"]["message"] == "no generation model. ragq models pull embedded"


def test_a_failure_in_a_stream_is_told_in_the_stream(
    http: TestClient, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(request: object) -> Iterator[object]:
        yield Token("so far ")
        raise BackendError("the runtime died")

    monkeypatch.setattr(desk.llm_side, "generate", failing)
    first, last = events(chat(http, stream=True).text)
    assert first["choices"][0]["delta"]["content"] == "so far "
    assert last["error"]["code"] == "backend"


# -- chat over a collection --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["handbook", "ragq/handbook", "collection/handbook"])
def test_a_collection_answers_as_a_model(http: TestClient, name: str) -> None:
    found = chat(http, model=name, messages=[{"role": "user", "content": "what gives lift"}]).json()
    assert found["choices"][0]["message"]["content"].startswith("the wing gives lift [1]")
    assert found["ragq"]["kind"] == "extractive"
    assert found["ragq"]["decision"]["route"] == "answer"
    assert found["ragq"]["citations"][0]["quote"] == "the wing gives lift"


def test_an_answer_streams_with_its_citations_last(http: TestClient) -> None:
    *chunks, done = events(
        chat(http, model="handbook", stream=True, messages=[{"role": "user", "content": "what gives lift"}]).text
    )
    assert done == "[DONE]"
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["ragq"]["citations"][0]["marker"] == 1


def test_earlier_turns_are_the_history(http: TestClient, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    real = desk.ask
    monkeypatch.setattr(desk, "ask", lambda *args, **options: seen.append((args, options)) or real(*args, **options))
    turns = [
        ("system", "be brief"),
        ("user", "q1"),
        ("assistant", "a1"),
        ("user", "lost"),
        ("user", "q2"),
        ("assistant", "a2"),
    ]
    messages = [{"role": role, "content": text} for role, text in [*turns, ("user", "what gives lift")]]
    chat(http, model="handbook", messages=messages, max_tokens=50, ragq={"answer": "written", "top_k": 3})
    (collection, question, history), options = seen[0]
    assert (collection, question) == ("handbook", "what gives lift")
    assert [(r.question, r.answer) for r in history] == [("q1", "a1"), ("q2", "a2")]
    assert options == {"stream": True, "answer": "written", "top_k": 3, "max_tokens": 50}


def test_absence_is_told_in_words_and_in_the_decision(http: TestClient) -> None:
    found = chat(http, model="handbook", messages=[{"role": "user", "content": "who feeds the neighbour's dog"}]).json()
    assert found["ragq"]["decision"]["route"] == "absent"
    assert found["ragq"]["citations"] == []
    assert "handbook" in found["choices"][0]["message"]["content"]


def test_a_collection_that_is_not_there_is_404_even_when_streaming(http: TestClient) -> None:
    for body in ({"model": "collection/none"}, {"model": "none"}, {"model": "collection/none", "stream": True}):
        response = chat(http, **body)
        assert response.status_code == 404, response.text
        assert "none" in response.json()["error"]["message"]


# -- models, embeddings, rerank ----------------------------------------------------------------------


def test_models_and_collections_are_listed(http: TestClient) -> None:
    found = http.get("/v1/models").json()["data"]
    assert [entry["id"] for entry in found] == ["toy-embed", GENERATOR, "collection/handbook"]
    assert http.get("/v1/models/collection/handbook").json()["ragq"]["roles"] == ["ask"]
    assert http.get("/v1/models/other").status_code == 404


def test_embeddings_as_floats_and_as_base64_are_the_same(http: TestClient) -> None:
    floats = http.post("/v1/embeddings", json={"input": ["alpha beta", "gamma"], "model": "toy-embed"}).json()
    packed = http.post("/v1/embeddings", json={"input": ["alpha beta", "gamma"], "encoding_format": "base64"}).json()
    assert [entry["index"] for entry in floats["data"]] == [0, 1]
    assert floats["usage"]["prompt_tokens"] == 3
    assert packed["model"] == "toy-embed"
    for plain, coded in zip(floats["data"], packed["data"], strict=True):
        np.testing.assert_array_equal(
            np.array(plain["embedding"], np.float32), np.frombuffer(base64.b64decode(coded["embedding"]), "<f4")
        )


def test_many_texts_keep_their_order(http: TestClient) -> None:
    texts = [f"word{i}" for i in range(150)]
    found = http.post("/v1/embeddings", json={"input": texts}).json()["data"]
    one = http.post("/v1/embeddings", json={"input": "word149"}).json()["data"]
    assert found[149]["embedding"] == one[0]["embedding"]


@pytest.mark.parametrize(
    ("kind", "role"), [("search_query", "query"), ("query", "query"), ("search_document", "document")]
)
def test_the_input_type_chooses_the_role(http: TestClient, desk: Desk, kind: str, role: str) -> None:
    http.post("/v1/embeddings", json={"input": "x", "input_type": kind})
    assert desk.llm_side.requests[-1].role == role


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
def test_rerank_in_the_shape_of_cohere_and_jina(http: TestClient, path: str) -> None:
    body = {"query": "planes", "documents": ["cats", {"text": "planes"}, "dogs"], "top_n": 2}
    found = http.post(path, json=body).json()
    assert [(r["index"], round(r["relevance_score"], 3)) for r in found["results"]] == [(1, 1.0), (0, 0.0)]
    assert "document" not in found["results"][0]
    assert found["id"]
    assert found["meta"]["api_version"]["version"] == ("2" if "v2" in path else "1")


def test_rerank_gives_documents_back_and_accepts_top_k(http: TestClient) -> None:
    body = {
        "query": "planes",
        "documents": ["cats", "planes"],
        "top_k": 1,
        "return_documents": True,
        "model": "toy-rerank",
    }
    found = http.post("/v1/rerank", json=body).json()
    assert found["model"] == "toy-rerank"
    assert [r["document"] for r in found["results"]] == [{"text": "planes"}]


# -- refusals ----------------------------------------------------------------------------------------

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
    ("/v1/chat/completions", {"messages": HELLO, "response_format": {"type": "json_object"}}, "response_format"),
    ("/v1/chat/completions", {"messages": HELLO, "ragq": {"answr": "x"}}, "ragq.answr"),
    ("/v1/chat/completions", {"messages": HELLO, "ragq": {"answer": "loud"}}, "ragq.answer"),
    ("/v1/chat/completions", {"messages": HELLO, "ragq": {"threshold": 2}}, "ragq.threshold"),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages"),
    ("/v1/chat/completions", {"model": "handbook", "messages": [{"role": "assistant", "content": "x"}]}, "messages"),
    ("/v1/embeddings", {}, "input"),
    ("/v1/embeddings", {"input": []}, "input"),
    ("/v1/embeddings", {"input": [""]}, "input[0]"),
    ("/v1/embeddings", {"input": [[1, 2]]}, "input"),
    ("/v1/embeddings", {"input": "x", "dimensions": 7}, "dimensions"),
    ("/v1/embeddings", {"input": "x", "encoding_format": "int8"}, "encoding_format"),
    ("/v1/embeddings", {"input": ["x"] * 2049}, "input"),
    ("/v1/rerank", {"query": " ", "documents": ["x"]}, "query"),
    ("/v1/rerank", {"query": "x", "documents": []}, "documents"),
    ("/v1/rerank", {"query": "x", "documents": ["a", " "]}, "documents[1]"),
    ("/v1/rerank", {"query": "x", "documents": [{"body": "a"}]}, "documents[0]"),
    ("/v1/rerank", {"query": "x", "documents": ["a"], "top_n": 0}, "top_n"),
    ("/v1/rerank", {"documents": ["a"]}, "query"),
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


# -- failures ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (NotFound("no model"), 404, "invalid_request_error"),
        (ModelNotLoaded("no reranker"), 503, "server_error"),
        (DeadlineExceeded("too slow"), 504, "server_error"),
        (BackendError("out of memory"), 502, "server_error"),
        (Internal("defect 7"), 500, "server_error"),
    ],
)
def test_failures_have_their_status(http: TestClient, desk: Desk, error: RagqError, status: int, kind: str) -> None:
    desk.llm_side.error = error
    response = http.post("/rerank", json={"query": "x", "documents": ["y"]})
    assert (response.status_code, response.json()["error"]["type"]) == (status, kind)
    assert response.json()["error"]["code"] == error.reason.lower()


def test_a_full_queue_tells_when_to_come_back(http: TestClient, desk: Desk) -> None:
    desk.llm_side.error = Busy("the queue is full", retry_after_s=2.2)
    response = http.post("/v1/embeddings", json={"input": "x"})
    assert (response.status_code, response.headers["retry-after"]) == (503, "2")


def test_every_error_that_travels_has_a_status_of_its_own() -> None:
    for cls in BY_REASON.values():
        assert cls is RagqError or any(parent in STATUS for parent in cls.__mro__ if parent is not RagqError), cls
    assert {status_of(cls("x")) for cls in STATUS} <= {400, 403, 404, 409, 413, 499, 500, 501, 502, 503, 504}


def test_a_defect_is_500_with_a_number_and_no_trace(
    http: TestClient, desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(desk.llm_side, "models", lambda _: 1 / 0)
    response = http.get("/v1/models")
    assert response.status_code == 500
    assert "ZeroDivision" not in response.text
    number = response.json()["error"]["message"].split()[-1]
    assert number in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_health_says_which_service_is_down(http: TestClient, desk: Desk) -> None:
    assert http.get("/health").json()["status"] == "ready"
    desk.down.add("llm")
    response = http.get("/health")
    assert response.status_code == 503
    assert [s["state"] for s in response.json()["services"]] == ["down", "ready"]


def test_metrics_are_in_prometheus_format(http: TestClient) -> None:
    lines = http.get("/metrics").text.splitlines()
    assert 'ragq_calls_total{service="llm"} 7' in lines
    assert 'ragq_service_state{service="index",state="ready"} 1' in lines
    assert all(line.startswith("# ") or len(line.split(" ")) == 2 for line in lines)


# -- who may call ------------------------------------------------------------------------------------


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


# -- clients that go away ----------------------------------------------------------------------------


def scope(path: str) -> dict[str, Any]:
    return {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [(b"host", b"127.0.0.1")], "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
        "scheme": "http", "server": ("127.0.0.1", 7780), "client": ("127.0.0.1", 1),
    }  # fmt: skip


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_away_ends_the_generation(desk: Desk, stream: bool) -> None:
    desk.llm_side.endless = True
    sent: list[Any] = []

    async def visit() -> None:
        body = json.dumps({"model": GENERATOR, "messages": HELLO, "stream": stream}).encode()
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            if messages:
                return messages.pop()
            while desk.llm_side.num_tokens < 50:  # noqa: ASYNC110 - a thread counts, and it has no event to set
                await anyio.sleep(0.001)
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        with anyio.fail_after(10):
            await app(desk.config, desk)(scope("/v1/chat/completions"), receive, send)

    anyio.run(visit)
    stopped_at = desk.llm_side.num_tokens
    threading.Event().wait(0.02)
    assert desk.llm_side.num_tokens == stopped_at
    if stream:
        assert sent[0]["status"] == 200
        assert not any(b"[DONE]" in m.get("body", b"") for m in sent)


def test_two_streams_interleave(desk: Desk) -> None:
    """A slow client's stream does not hold up another's."""
    desk.llm_side.endless = True
    order: list[str] = []

    async def visit(name: str, num_chunks: int) -> None:
        body = json.dumps({"model": GENERATOR, "messages": HELLO, "stream": True}).encode()
        messages = [{"type": "http.request", "body": body, "more_body": False}]
        enough = anyio.Event()

        async def receive() -> Any:
            if messages:
                return messages.pop()
            await enough.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            order.append(name)
            if order.count(name) >= num_chunks:
                enough.set()

        await app(desk.config, desk)(scope("/v1/chat/completions"), receive, send)

    async def both() -> None:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(visit, "a", 20)
                group.start_soon(visit, "b", 20)

    began = time.monotonic()
    anyio.run(both)
    assert time.monotonic() - began < 10
    assert order.index("b") < len(order) - 1 - order[::-1].index("a")


def test_a_model_that_fills_two_roles_is_listed_once(
    http: TestClient, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = Models([ModelInfo("embed", "toy", "toy"), ModelInfo("generate", "toy", "toy")])
    monkeypatch.setattr(desk.llm_side, "models", lambda _: both)
    first, *others = http.get("/v1/models").json()["data"]
    assert (first["id"], first["ragq"]) == ("toy", {"roles": ["embed", "generate"], "status": "ready"})
    assert [entry["id"] for entry in others] == ["collection/handbook"]
