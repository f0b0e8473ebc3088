"""Chat completions: over the model, over a collection, whole and streamed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from clients.errors import (
    BackendError,
    ModelNotLoaded,
)
from clients.index import Within
from clients.llm import Token
from tests.unit.cli.desk import GENERATOR, Desk
from tests.unit.http.visits import chat, events


def test_a_completion_has_openais_shape(http: TestClient) -> None:
    found = chat(http).json()
    assert found["object"] == "chat.completion"
    assert found["model"] == GENERATOR
    assert found["choices"][0]["message"]["content"] == "hello you "
    assert found["choices"][0]["finish_reason"] == "stop"
    assert found["usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 0},
    }
    assert set(found["ragq"]["timings"]) == {"queue_s", "first_token_s", "token_s", "total_s"}


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


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("field", "control", "value"),
    [
        ({"response_format": {"type": "json_object"}}, "format", "json"),
        ({"response_format": {"type": "text"}}, "format", "text"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}},
            "json_schema",
            json.dumps(SCHEMA),
        ),
        ({"logit_bias": {"11": -100, "261": -100.0}}, "ban_tokens", [11, 261]),
        ({"chat_template": "{{ messages }}"}, "template", "{{ messages }}"),
        ({"chat_template_kwargs": {"enable_thinking": True}}, "template_options", {"enable_thinking": True}),
        ({"min_p": 0.1}, "min_p", 0.1),
    ],
    ids=str,
)
def test_fields_become_controls_of_generation(
    http: TestClient, desk: Desk, field: dict[str, Any], control: str, value: object
) -> None:
    answer = chat(http, **field)
    assert answer.status_code == 200, answer.text
    assert getattr(desk.llm_side.requests[-1], control) == value


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


@pytest.mark.parametrize("within", [["a.pdf", "*.md"], {"documents": ["a.pdf", "*.md"]}])
def test_a_question_is_limited_to_documents(http: TestClient, desk: Desk, within: object) -> None:
    question = [{"role": "user", "content": "what gives lift"}]
    found = chat(http, model="handbook", messages=question, ragq={"within": within}).json()
    assert desk.index_side.requests[-1].within == Within(["a.pdf", "*.md"])
    assert "only these documents were searched: 'a.pdf', '*.md'" in found["ragq"]["notes"]


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
