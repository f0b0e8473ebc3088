"""Rerank and score: the shapes of every server whose clients may call, what they are given, and what is refused."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from clients.llm import Rerank
from tests.unit.cli.desk import Desk

PLANES = {"query": "planes", "documents": ["cats", {"text": "planes"}, "dogs"]}


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
def test_results_come_best_first_with_logit_and_its_expit(http: TestClient, path: str) -> None:
    found = http.post(path, json={**PLANES, "top_n": 2}).json()
    assert set(found) == {"id", "object", "model", "results", "usage", "meta"}
    assert [r["index"] for r in found["results"]] == [1, 0]
    for result in found["results"]:
        assert set(result) == {"index", "relevance_score", "logit"}
        assert result["relevance_score"] == pytest.approx(1 / (1 + math.exp(-result["logit"])))
    assert found["usage"] == {"total_tokens": 6, "prompt_tokens": 6}
    version = {"version": "2" if "v2" in path else "1"}
    assert found["meta"] == {"api_version": version, "truncated": [], "score_kind": "probability"}


def test_scores_that_round_to_the_same_number_are_ordered_by_logit_and_then_as_given(http: TestClient) -> None:
    documents = ["planes fly", "planes", "planes", "cats"]
    found = http.post("/rerank", json={"query": "planes", "documents": documents}).json()["results"]
    assert [r["index"] for r in found] == [1, 2, 0, 3]
    assert found[0]["relevance_score"] == found[1]["relevance_score"] == found[2]["relevance_score"] == 1.0


@pytest.mark.parametrize("word", ["return_documents", "return_text"])
def test_documents_come_back_on_request(http: TestClient, word: str) -> None:
    found = http.post("/v1/rerank", json={**PLANES, "top_k": 1, word: True, "model": "toy-rerank"}).json()
    assert found["model"] == "toy-rerank"
    assert [r["document"] for r in found["results"]] == [{"text": "planes"}]


def test_raw_scores_are_logits(http: TestClient) -> None:
    for control in ({"raw_scores": True}, {"use_activation": False}):
        best = http.post("/rerank", json={**PLANES, **control}).json()["results"][0]
        assert best["relevance_score"] == best["logit"] == pytest.approx(40.0)


def test_texts_get_the_bare_list_of_tei(http: TestClient) -> None:
    body = {"query": "planes", "texts": ["cats", "planes"]}
    assert http.post("/rerank", json=body).json() == [{"index": 1, "score": 1.0}, {"index": 0, "score": 0.5}]
    first, second = http.post("/rerank", json={**body, "return_text": True, "raw_scores": True}).json()
    assert first == {"index": 1, "score": pytest.approx(40.0), "text": "planes"}
    assert second["text"] == "cats"


def test_rank_fields_choose_what_is_read_of_an_object(http: TestClient, desk: Desk) -> None:
    documents = [{"title": "planes", "body": "fly", "id": "x"}, {"body": "only"}]
    http.post("/rerank", json={"query": "q", "documents": documents, "rank_fields": ["title", "body"]})
    assert desk.llm_side.requests[-1].documents == ["planes\nfly", "only"]


def test_what_was_cut_is_told_and_refused_where_the_caller_wants_that(http: TestClient, desk: Desk) -> None:
    desk.llm_side.max_words = 2
    long = {"query": "a", "documents": ["a", "a b c"]}
    assert http.post("/rerank", json=long).json()["meta"]["truncated"] == [1]
    tei = {"query": "a", "texts": ["a", "a b c"]}
    assert len(http.post("/rerank", json={**tei, "truncate": True}).json()) == 2
    for body, param in ((tei, "texts[1]"), ({**long, "truncation": False}, "documents[1]")):
        refused = http.post("/rerank", json=body)
        assert (refused.status_code, refused.json()["error"]["param"]) == (413, param)


def test_more_documents_than_one_call_takes_are_one_order(http: TestClient, desk: Desk) -> None:
    documents = [f"cat {i}" for i in range(999)] + ["planes"]
    found = http.post("/rerank", json={"query": "planes", "documents": documents, "instruction": "Find it"}).json()
    assert len(found["results"]) == 1000
    assert found["results"][0]["index"] == 999
    calls = [r for r in desk.llm_side.requests if isinstance(r, Rerank)]
    assert [len(call.documents) for call in calls] == [256, 256, 256, 232]
    assert {call.instruction for call in calls} == {"Find it"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/rerank", {"query": "x", "documents": ["y"] * 1001}),
        ("/rerank", {"query": "x", "texts": ["y"] * 1001}),
        ("/score", {"text_1": "x", "text_2": ["y"] * 1001}),
    ],
)
def test_more_than_a_thousand_are_413(http: TestClient, path: str, body: dict[str, object]) -> None:
    response = http.post(path, json=body)
    assert response.status_code == 413
    assert "at most 1000" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/rerank", {"query": "x", "documents": ["y"]}),
        ("/score", {"text_1": "x", "text_2": "y"}),
    ],
)
def test_a_model_that_does_something_else_is_424_and_one_that_is_not_there_404(
    http: TestClient, path: str, body: dict[str, object]
) -> None:
    other = http.post(path, json={**body, "model": "toy-embed"})
    assert (other.status_code, other.json()["error"]["code"]) == (424, "wrong_role")
    assert "it is there to embed" in other.json()["error"]["message"]
    assert http.post(path, json={**body, "model": "nobody"}).status_code == 404


def test_a_reranker_does_not_embed(http: TestClient) -> None:
    assert http.post("/v1/embeddings", json={"input": "x", "model": "toy-rerank"}).status_code == 424


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"query": " ", "documents": ["x"]}, "query"),
        ({"documents": ["a"]}, "query"),
        ({"query": ["x"], "documents": ["a"]}, "query"),
        ({"query": "x"}, "documents"),
        ({"query": "x", "documents": []}, "documents"),
        ({"query": "x", "documents": "a"}, "documents"),
        ({"query": "x", "documents": [7]}, "documents[0]"),
        ({"query": "x", "documents": ["a", " "]}, "documents[1]"),
        ({"query": "x", "documents": [{"body": "a"}]}, "documents[0]"),
        ({"query": "x", "documents": [{"text": 7}]}, "documents[0]"),
        ({"query": "x", "documents": [{"text": "a"}], "rank_fields": ["title"]}, "documents[0]"),
        ({"query": "x", "texts": []}, "texts"),
        ({"query": "x", "texts": ["a", ""]}, "texts[1]"),
        ({"query": "x", "texts": ["a"], "documents": ["a"]}, "texts"),
        ({"query": "x", "documents": ["a"], "top_n": 0}, "top_n"),
        ({"query": "x", "documents": ["a"], "top_n": -1}, "top_n"),
        ({"query": "x", "documents": ["a"], "top_n": 1.5}, "top_n"),
        ({"query": "x", "documents": ["a"], "top_k": "all"}, "top_k"),
        ({"query": "x", "documents": ["a"], "top_n": 1, "top_k": 2}, "top_k"),
        ({"query": "x", "documents": ["a"], "max_tokens_per_doc": 0}, "max_tokens_per_doc"),
        ({"query": "x", "texts": ["a"], "truncation_direction": "Left"}, "truncation_direction"),
    ],
)
def test_a_wrong_field_is_named(http: TestClient, body: dict[str, object], param: str) -> None:
    response = http.post("/v1/rerank", json=body)
    assert response.status_code == 400, response.text
    assert response.json()["error"]["param"] == param


def test_what_other_servers_know_and_we_do_not_is_ignored(http: TestClient) -> None:
    more = {"priority": 3, "user": "me", "max_chunks_per_doc": 2, "max_tokens_per_doc": 4096, "top_n": 99, "top_k": 99}
    assert len(http.post("/v2/rerank", json={**PLANES, **more}).json()["results"]) == 3


def test_scores_come_in_the_order_of_the_pairs(http: TestClient) -> None:
    body = {"model": "toy-rerank", "text_1": "planes", "text_2": ["cats", "planes"]}
    found = http.post("/v1/score", json=body).json()
    assert [(d["index"], d["object"], d["score"]) for d in found["data"]] == [(0, "score", 0.5), (1, "score", 1.0)]
    assert found["usage"]["prompt_tokens"] == 4
    pairs = {"queries": ["cats", "dogs"], "documents": ["cats", "cats"], "use_activation": False}
    raw = http.post("/score", json=pairs).json()
    assert [d["score"] for d in raw["data"]] == [pytest.approx(40.0), 0.0]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"text_1": "x"}, "text_2"),
        ({"text_1": "x", "text_2": []}, "text_2"),
        ({"text_1": "x", "text_2": ["a", " "]}, "text_2[1]"),
        ({"text_1": ["x", "y"], "text_2": ["a", "b", "c"]}, "text_2"),
    ],
)
def test_texts_that_make_no_pairs_are_refused(http: TestClient, body: dict[str, object], param: str) -> None:
    response = http.post("/score", json=body)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param), response.text


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "title"]), inner, max_size=2),
    max_leaves=5,
)
FIELDS = st.sampled_from(
    ["query", "documents", "texts", "model", "top_n", "top_k", "return_documents", "raw_scores", "rank_fields",
     "truncate", "truncation_direction", "max_tokens_per_doc", "text_1", "text_2", "queries"]
)  # fmt: skip


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(["/rerank", "/score"]), wrong=st.dictionaries(FIELDS, ANYTHING, max_size=4))
def test_whatever_is_sent_is_answered_or_refused_and_never_a_defect(
    http: TestClient, path: str, wrong: dict[str, object]
) -> None:
    whole = PLANES if path == "/rerank" else {"text_1": "x", "text_2": ["y", "z"]}
    response = http.post(path, content=json.dumps({**whole, **wrong}), headers={"content-type": "application/json"})
    assert response.status_code in (200, 400, 404, 413, 424), response.text
