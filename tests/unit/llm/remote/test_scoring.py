"""Scores from a server, and what becomes of a server's faults."""

from __future__ import annotations

import numpy as np
import pytest

from clients.errors import BackendError, BadRequest
from services.llm.backends.base import Scorer
from tests.unit.llm.remote.conftest import Loader
from tests.unit.llm.remote.scripted import Scripted, as_json, ranked

PATH = "/v1/rerank"


def score(scorer: Scorer, query: str, *documents: str) -> list[float]:
    return [round(float(value), 4) for value in scorer.run(scorer.prepare([(query, each) for each in documents]))]


def test_scores_come_in_the_order_of_the_documents(server: Scripted, remote: Loader) -> None:
    scorer = remote.scorer(server.model())
    results = [{"index": 1, "relevance_score": 0.75, "document": {"text": "b"}}, {"index": 0, "relevance_score": 0.25}]
    server.on(PATH, as_json({"id": "x", "results": results}))
    assert score(scorer, "q", "a", "b") == [0.25, 0.75]
    body = server.bodies(PATH)[-1]
    assert (body["query"], body["documents"], body["top_n"], body["model"]) == ("q", ["a", "b"], 2, "m")


def test_voyages_shape_is_read_too(server: Scripted, remote: Loader) -> None:
    server.on(PATH, as_json({"data": [{"index": 0, "relevance_score": 0.9}, {"index": 1, "relevance_score": 0.1}]}))
    assert score(remote.scorer(server.model()), "q", "a", "b") == [0.9, 0.1]


def test_each_request_holds_one_query_and_no_more_than_a_batch(server: Scripted, remote: Loader) -> None:
    scorer = remote.scorer(server.model(options={"batch": 2}))
    server.on(PATH, ranked(0.1, 0.2), ranked(0.3), ranked(0.4))
    pairs = scorer.prepare([("q", "a"), ("r", "x"), ("q", "b"), ("q", "c")])
    assert np.round(scorer.run(pairs), 4).tolist() == pytest.approx([0.1, 0.4, 0.2, 0.3])
    sent = [(body["query"], body["documents"]) for body in server.bodies(PATH)[1:]]
    assert sent == [("q", ["a", "b"]), ("q", ["c"]), ("r", ["x"])]


def test_teis_logits_are_asked_for(server: Scripted, remote: Loader) -> None:
    server.replies.clear()
    server.on("/rerank", as_json({}, 422), as_json([{"index": 0, "score": 0.9}, {"index": 1, "score": 0.1}]))
    scorer = remote.scorer(server.model())
    server.on("/rerank", as_json([{"index": 1, "score": -7.5}, {"index": 0, "score": 2.5}]))
    assert (scorer.kind, score(scorer, "q", "a", "b")) == ("logit", [2.5, -7.5])
    body = server.bodies("/rerank")[-1]
    assert body == {"query": "q", "texts": ["a", "b"], "raw_scores": True, "truncate": True}


@pytest.mark.parametrize(
    ("told", "kind", "score_read"), [("probability", "logit", 9.0), ("similarity", "similarity", 0.5)]
)
def test_another_ragq_tells_its_scale_and_its_logits(
    told: str, kind: str, score_read: float, server: Scripted, remote: Loader
) -> None:
    results = [{"index": i, "relevance_score": 0.5, "logit": 9.0} for i in range(2)]
    server.on(PATH, as_json({"results": results, "meta": {"score_kind": told}}))
    scorer = remote.scorer(server.model())
    assert (scorer.kind, score(scorer, "q", "a", "b")) == (kind, [score_read, score_read])


def test_the_scale_may_be_set(server: Scripted, remote: Loader) -> None:
    assert remote.scorer(server.model(options={"scores": "similarity"})).kind == "similarity"


def test_a_logit_where_a_probability_was_expected_is_an_error(server: Scripted, remote: Loader) -> None:
    scorer = remote.scorer(server.model())
    server.on(PATH, ranked(3.5))
    with pytest.raises(BackendError, match=r"a score of 3\.5, which is no probability") as caught:
        score(scorer, "q", "a")
    assert "options.scores" in caught.value.help


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"results": [{"index": 0, "relevance_score": 0.5}]}, "1 scores for 2 documents"),
        ({"results": [{"index": 0, "relevance_score": 0.5}] * 2}, "a score for document 0, of 2"),
        ({"results": [{"index": 2, "relevance_score": 0.5}]}, "document 2, of 2"),
        ({"results": [{"index": -1, "relevance_score": 0.5}]}, "document -1, of 2"),
        ({"results": [{"relevance_score": 0.5}]}, "document None, of 2"),
        ({"results": [{"index": 0, "relevance_score": float("nan")}]}, "document 0 is nan"),
        ({"results": [{"index": 0, "relevance_score": None}]}, "document 0 is None"),
        ({"results": [{"index": 0}]}, "document 0 is None"),
        ({"results": ["x"]}, "document None"),
        ({"results": {}}, "no list of results"),
        ({}, "no list of results"),
    ],
)
def test_an_answer_that_is_no_scores_is_an_error_of_the_backend(
    value: object, why: str, server: Scripted, remote: Loader
) -> None:
    scorer = remote.scorer(server.model())
    server.on(PATH, as_json(value))
    with pytest.raises(BackendError, match=why):
        score(scorer, "q", "a", "b")


def test_a_document_that_is_too_long_is_cut(server: Scripted, remote: Loader) -> None:
    scorer = remote.scorer(server.model())
    too_long = as_json({"error": {"message": "input is too long", "type": "exceed_context_size_error"}}, 413)
    server.on(PATH, too_long, ranked(0.9), too_long, ranked(0.1))
    assert score(scorer, "q", "a", "b" * 10) == [0.9, 0.1]
    assert [body["documents"] for body in server.bodies(PATH)[2:]] == [["a"], ["b" * 10], ["b" * 5]]


def test_an_instruction_is_refused_for_there_is_no_place_for_it(server: Scripted, remote: Loader) -> None:
    with pytest.raises(BadRequest, match="takes no instruction"):
        remote.scorer(server.model()).prepare([("q", "a")], instruction="judge")
