"""Models, embeddings, rerank, health and metrics: what their clients are given."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from starlette.testclient import TestClient

from clients.llm import ModelInfo
from clients.models import unserved
from tests.unit.cli.desk import GENERATOR, Desk


def test_models_and_collections_are_listed(http: TestClient) -> None:
    found = http.get("/v1/models").json()["data"]
    assert [entry["id"] for entry in found] == ["toy-embed", "toy-rerank", GENERATOR, "collection/handbook"]
    embeds, reranks = (http.get(f"/v1/models/{name}").json()["ragq"] for name in ("toy-embed", "toy-rerank"))
    assert embeds == {"roles": ["embed"], "status": "ready", "dimension": 64}
    assert reranks["roles"] == ["rerank"]
    assert http.get("/v1/models/collection/handbook").json()["ragq"]["roles"] == ["ask"]
    for spelling in ("handbook", "ragq/handbook"):
        assert http.get(f"/v1/models/{spelling}").json()["id"] == "collection/handbook"
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


def test_what_is_told_to_queries_and_the_dimension_reach_the_service(http: TestClient, desk: Desk) -> None:
    body = {"input": "x", "input_type": "query", "instruction": "Find it", "dimensions": 64}
    assert http.post("/v1/embeddings", json=body).status_code == 200
    request = desk.llm_side.requests[-1]
    assert (request.instruction, request.dimension) == ("Find it", 64)


def test_texts_that_were_cut_are_told(http: TestClient, desk: Desk) -> None:
    desk.llm_side.max_words = 2
    found = http.post("/v1/embeddings", json={"input": ["a b", "a b c"]}).json()
    assert found["ragq"] == {"truncated": [1]}
    assert "ragq" not in http.post("/v1/embeddings", json={"input": ["a b"]}).json()


def test_a_model_that_fills_two_roles_is_listed_once(
    http: TestClient, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk.llm_side, "embed_model", lambda _: ModelInfo("embed", "toy", "toy"))
    monkeypatch.setattr(desk.llm_side, "rerank_model", lambda _: unserved("rerank"))
    monkeypatch.setattr(desk.llm_side, "generate_model", lambda _: ModelInfo("generate", "toy", "toy"))
    first, *others = http.get("/v1/models").json()["data"]
    assert (first["id"], first["ragq"]) == ("toy", {"roles": ["embed", "generate"], "status": "ready"})
    assert [entry["id"] for entry in others] == ["collection/handbook"]
