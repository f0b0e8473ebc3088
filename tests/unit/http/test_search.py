"""POST /v1/search: what is asked of the mesh, and what is refused."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from clients.index import Within
from tests.unit.cli.desk import Desk


def test_what_a_request_says_reaches_the_search(http: TestClient, desk: Desk) -> None:
    body = {"collection": "handbook", "query": "lift", "top_k": 1, "mode": "keyword", "rerank": False, "copies": 3}
    found = http.post("/v1/search", json=body).json()
    assert [(hit["object"], hit["text"]) for hit in found["data"]] == [("hit", "the wing gives lift")]
    asked = desk.index_side.requests[-1]
    assert (asked.top_k, asked.mode, asked.rerank, asked.copies) == (1, "keyword", False, 3)


def test_least_scores_reach_the_search(http: TestClient, desk: Desk) -> None:
    body = {"collection": "handbook", "query": "lift", "at_least": {"dense": 0.2, "keyword": 1}}
    assert http.post("/v1/search", json=body).is_success
    assert desk.index_side.requests[-1].at_least == {"dense": 0.2, "keyword": 1.0}


@pytest.mark.parametrize(
    ("within", "asked"),
    [
        (["a.pdf", "reports/*"], Within(["a.pdf", "reports/*"])),
        ({"sources": ["example.org"], "kinds": ["pdf"]}, Within([], ["example.org"], ["pdf"])),
        (None, None),
        ([], None),
        ({}, None),
    ],
)
def test_a_search_is_limited_to_documents(http: TestClient, desk: Desk, within: object, asked: Within | None) -> None:
    assert http.post("/v1/search", json={"collection": "handbook", "query": "lift", "within": within}).is_success
    assert desk.index_side.requests[-1].within == asked


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"collection": "handbook"}, "query"),
        ({"collection": "handbook", "query": " "}, "query"),
        ({"collection": "handbook", "query": "lift", "top_k": 101}, "top_k"),
        ({"collection": "handbook", "query": "lift", "mode": "psychic"}, "mode"),
        ({"collection": "handbook", "query": "lift", "within": [7]}, "within.documents[0]"),
        ({"collection": "handbook", "query": "lift", "within": {"document": ["a"]}}, "within.document"),
        ({"collection": "handbook", "query": "lift", "within": "a.pdf"}, "within"),
        ({"collection": "handbook", "query": "lift", "at_least": {"dense": "much"}}, "at_least.dense"),
        ({"collection": "handbook", "query": "lift", "at_least": 0.5}, "at_least"),
    ],
)
def test_a_request_that_is_wrong_names_its_field(http: TestClient, body: dict[str, object], param: str) -> None:
    reply = http.post("/v1/search", json=body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


def test_an_unknown_collection_is_not_found(http: TestClient) -> None:
    assert http.post("/v1/search", json={"collection": "gone", "query": "lift"}).status_code == 404
