"""Measuring retrieval from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from clients.errors import BadRequest
from clients.index import Collection, Text
from tests.unit.cli.desk import Desk
from ui.cli.evaluate import num_hits
from ui.cli.testset import BATCH_BYTES, BATCH_TEXTS, batches

Run = Callable[..., Result]


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    root = tmp_path / "tiny set"
    (root / "qrels").mkdir(parents=True)
    corpus = {"d1": "the wing gives lift", "d2": "the tail gives balance", "d3": "the wing gives lift", "d4": " "}
    queries = {"q1": "wing lift", "q2": "tail balance", "q3": "submarine"}
    (root / "corpus.jsonl").write_text("".join(json.dumps({"_id": k, "text": v}) + "\n" for k, v in corpus.items()))
    (root / "queries.jsonl").write_text("".join(json.dumps({"_id": k, "text": v}) + "\n" for k, v in queries.items()))
    (root / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td3\t1\nq2\td2\t1\nq3\td1\t1\n")
    return root


def test_the_corpus_is_added_once_and_every_query_is_asked(ragq: Run, desk: Desk, tiny: Path) -> None:
    result = ragq("eval", tiny, "--mode", "keyword", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["collection"].startswith("eval-tiny-set-")
    assert (found["num_documents"], found["num_queries"]) == (4, 3)
    assert found["mrr_at_10"] == found["ndcg_at_10"] == found["recall_at_100"] == pytest.approx(2 / 3, abs=1e-4)
    ragq("eval", tiny, "--mode", "keyword", "--json")
    assert sum(hasattr(r, "texts") for r in desk.index_side.requests) == 1


def test_documents_with_the_same_text_are_found_as_both(ragq: Run, desk: Desk, tiny: Path) -> None:
    ragq("eval", tiny)
    added = next(r for r in desk.index_side.requests if hasattr(r, "texts"))
    assert [t.name for t in added.texts] == ["d1", "d2"]
    assert (added.chunking.size, added.chunking.overlap) == (4000, 0)


def test_an_incomplete_collection_is_completed(ragq: Run, desk: Desk, tiny: Path) -> None:
    desk.index.add("half", texts=[Text("d1", "the wing gives lift")])
    found = json.loads(ragq("eval", tiny, "-c", "half", "--json").stdout)
    assert found["recall_at_100"] == pytest.approx(2 / 3, abs=1e-4)


def test_limit_asks_the_first_queries_only(ragq: Run, desk: Desk, tiny: Path) -> None:
    found = json.loads(ragq("eval", tiny, "--limit", "2", "--mode", "dense", "--rerank", "--json").stdout)
    assert (found["num_queries"], found["recall_at_100"]) == (2, 1.0)
    asked = [r for r in desk.index_side.requests if hasattr(r, "query")]
    assert {(r.mode, r.rerank, r.top_k) for r in asked} == {("dense", True, 100)}


def test_the_figures_are_printed_for_people(ragq: Run, tiny: Path) -> None:
    lines = ragq("eval", tiny).stdout.splitlines()
    assert lines[0] == "tiny set: 4 documents, 3 queries, hybrid"
    assert lines[1].split() == ["NDCG@10", "MRR@10", "RECALL@100", "INDEX", "SEARCH"]
    assert lines[2].startswith("0.6667   0.6667  0.6667")


def test_a_folder_that_is_not_beir_is_refused_before_anything_is_added(ragq: Run, desk: Desk, tmp_path: Path) -> None:
    assert isinstance(ragq("eval", tmp_path).exception, BadRequest)
    assert desk.index_side.requests == []


def test_batches_fit_into_messages_and_lose_nothing() -> None:
    texts = [Text(str(i), "x" * (BATCH_BYTES // 3)) for i in range(8)] + [
        Text(f"s{i}", "y") for i in range(BATCH_TEXTS)
    ]
    parts = list(batches(texts))
    assert [text for part in parts for text in part] == texts
    assert all(sum(len(t.text) for t in part) <= BATCH_BYTES and len(part) <= BATCH_TEXTS for part in parts)


def test_a_document_larger_than_a_message_is_refused_by_name() -> None:
    with pytest.raises(BadRequest, match="document big"):
        list(batches([Text("big", "x" * (3 * BATCH_BYTES))]))


@pytest.mark.parametrize(("num_chunks", "hits"), [(100, 100), (101, 127), (300, 375)])
def test_more_chunks_are_asked_for_where_documents_have_several(num_chunks: int, hits: int) -> None:
    assert num_hits(Collection("c", "c", num_documents=100, num_chunks=num_chunks)) == hits


def test_another_way_is_compared_query_by_query(ragq: Run, tiny: Path) -> None:
    found = json.loads(ragq("eval", tiny, "--mode", "dense", "--compare", "keyword+rerank", "--json").stdout)
    other = found["compared"]
    assert (other["mode"], other["rerank"]) == ("keyword", True)
    assert (other["ndcg_at_10"], other["p"]) == ({"value": 0.0, "low": 0.0, "high": 0.0}, 1.0)
    assert "keyword, reranked instead" in ragq("eval", tiny, "--compare", "keyword+rerank").output
    for wrong in ("nearest", "dense+", "dense+words"):
        assert "is no way to search" in str(ragq("eval", tiny, "--compare", wrong).exception)


def test_the_decision_is_measured_with_and_without_the_documents(ragq: Run, desk: Desk, tiny: Path) -> None:
    found = json.loads(ragq("eval", tiny, "--decide", "--json").stdout)["decided"]
    assert sum(found["routes"]["answerable"].values()) == sum(found["routes"]["removed"].values()) == 3
    assert found["routes"]["answerable"]["answer"] == 2
    assert found["routes"]["removed"]["absent"] >= 2
    assert found["figures"]["answer_precision"]["value"] == 1.0
    assert not found["calibrated"]
    printed = ragq("eval", tiny, "--decide").output
    assert "uncalibrated" in printed
    assert "risk_coverage_area" in printed
