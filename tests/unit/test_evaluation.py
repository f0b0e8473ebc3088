"""The measures against values worked out by hand, and BEIR directories good and bad."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.errors import BadRequest
from clients.evaluation import best_per_document, judge, mrr_at, ndcg_at, ranking, read_beir, recall_at


def test_ndcg_uses_the_gain_itself_and_the_ideal_order() -> None:
    relevance = {"a": 3, "b": 2, "c": 1}
    dcg = 2 / math.log2(2) + 0 / math.log2(3) + 3 / math.log2(4)
    ideal = 3 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4)
    assert ndcg_at(["b", "x", "a"], relevance) == pytest.approx(dcg / ideal)
    assert ndcg_at(["b", "x", "a"], relevance) == pytest.approx(0.734999, abs=1e-5)


def test_ndcg_cuts_both_orders_at_k() -> None:
    relevance = dict.fromkeys("abcdefghijkl", 1)
    assert ndcg_at(list("abcdefghij"), relevance, 10) == pytest.approx(1.0)
    assert ndcg_at([*"xxxxxxxxxx", "a"], relevance, 10) == 0.0


def test_negative_judgements_gain_nothing() -> None:
    assert ndcg_at(["bad", "good"], {"bad": -1, "good": 1}) == pytest.approx(1 / math.log2(3))
    assert ndcg_at(["bad"], {"bad": -1}) == 0.0


def test_mrr_looks_at_the_first_relevant_only() -> None:
    assert mrr_at(["x", "y", "a", "b"], {"a": 1, "b": 1}) == pytest.approx(1 / 3)
    assert mrr_at([*"0123456789", "a"], {"a": 1}) == 0.0
    assert mrr_at(["z"], {"z": 0}) == 0.0


def test_recall_counts_all_relevant_documents() -> None:
    assert recall_at(["a", "x", "b"], {"a": 1, "b": 2, "c": 1, "d": 0}) == pytest.approx(2 / 3)
    assert recall_at(["a"], {"a": 0}) == 0.0


def test_ties_go_to_the_larger_id() -> None:
    assert ranking({"a": 1.0, "c": 1.0, "b": 2.0, "10": 1.0, "9": 1.0}) == ["b", "c", "a", "9", "10"]


def test_a_document_counts_by_its_best_chunk() -> None:
    assert best_per_document([("a", 0.2), ("b", 0.9), ("a", 0.7), ("a", 0.1)]) == {"a": 0.7, "b": 0.9}


def test_a_query_that_found_nothing_counts_as_zero_and_an_unjudged_one_not_at_all() -> None:
    judgements = {"q1": {"a": 1}, "q2": {"b": 1}, "q4": {"a": 0}}
    report = judge({"q1": {"a": 1.0}, "q2": {}, "q3": {"a": 1.0}, "q4": {"a": 1.0}}, judgements)
    assert set(report.by_query) == {"q1", "q2"}
    assert report.mean.ndcg_at_10 == report.mean.mrr_at_10 == report.mean.recall_at_100 == 0.5


def test_judging_without_a_judged_query_is_refused() -> None:
    with pytest.raises(BadRequest, match="none of the queries"):
        judge({"q": {"a": 1.0}}, {"other": {"a": 1}})


@given(
    st.lists(st.integers(0, 40).map(str), unique=True, max_size=30),
    st.dictionaries(st.integers(0, 40).map(str), st.integers(-1, 3), max_size=20),
)
def test_every_measure_stays_between_zero_and_one_and_the_ideal_order_is_one(
    ranked: list[str], relevance: dict[str, int]
) -> None:
    for measure in (ndcg_at, mrr_at, recall_at):
        assert 0.0 <= measure(ranked, relevance) <= 1.0 + 1e-12
    ideal = sorted(relevance, key=lambda d: -relevance[d])
    if any(rel > 0 for rel in relevance.values()):
        assert ndcg_at(ideal, relevance) == pytest.approx(1.0)
        assert mrr_at(ideal, relevance) == recall_at(ideal, relevance) == 1.0


def write(root: Path, corpus: list[object], queries: list[object], qrels: str) -> Path:
    (root / "qrels").mkdir(parents=True)
    (root / "corpus.jsonl").write_text("".join(json.dumps(line) + "\n" for line in corpus), encoding="utf-8")
    (root / "queries.jsonl").write_text("".join(json.dumps(line) + "\n" for line in queries), encoding="utf-8")
    (root / "qrels" / "test.tsv").write_text(qrels, encoding="utf-8")
    return root


def good(root: Path) -> Path:
    return write(
        root,
        [{"_id": "d1", "title": "Wing", "text": "lift"}, {"_id": 2, "text": "drag"}],
        [{"_id": "q1", "text": "what lifts"}, {"_id": "q2", "text": "unjudged"}],
        "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\t2\t0\n",
    )


def test_a_beir_directory_is_read_whole(tmp_path: Path) -> None:
    beir = read_beir(good(tmp_path / "tiny"))
    assert beir.name == "tiny"
    assert [(e.id, e.content) for e in beir.corpus] == [("d1", "Wing\nlift"), ("2", "drag")]
    assert beir.queries == {"q1": "what lifts"}
    assert beir.judgements == {"q1": {"d1": 2, "2": 0}}


def test_judgements_without_a_header_lose_no_line(tmp_path: Path) -> None:
    root = good(tmp_path / "tiny")
    (root / "qrels" / "test.tsv").write_text("q1\td1\t1\n", encoding="utf-8")
    assert read_beir(root).judgements == {"q1": {"d1": 1}}


def no_queries(root: Path) -> None:
    (root / "queries.jsonl").unlink()


def broken_json(root: Path) -> None:
    (root / "corpus.jsonl").write_text('{"_id": "d1", "text": "x"}\n{oops\n')


def no_id(root: Path) -> None:
    (root / "corpus.jsonl").write_text('{"id": "d1", "text": "x"}\n')


def bad_relevance(root: Path) -> None:
    (root / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\tvery\n")


def nothing_relevant(root: Path) -> None:
    (root / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t0\n")


def not_utf8(root: Path) -> None:
    (root / "corpus.jsonl").write_bytes(b'{"_id": "d1", "text": "\xff\xfe"}\n')


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (no_queries, "no such file: .*queries.jsonl"),
        (broken_json, "corpus.jsonl:2: not JSON"),
        (no_id, "corpus.jsonl:1: '_id' is missing"),
        (bad_relevance, "test.tsv:2: expected query id"),
        (nothing_relevant, "no query with a relevant document"),
        (not_utf8, "not UTF-8"),
    ],
)
def test_what_is_not_beir_is_refused_by_file_and_line(
    tmp_path: Path, spoil: Callable[[Path], None], words: str
) -> None:
    root = good(tmp_path / "tiny")
    spoil(root)
    with pytest.raises(BadRequest, match=words) as caught:
        read_beir(root)
    assert "qrels/test.tsv" in caught.value.help


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="not a directory"):
        read_beir(tmp_path / "nowhere")


def test_the_figures_are_those_of_ir_measures() -> None:
    reference = pytest.importorskip("ir_measures", reason="pip install ir-measures")
    random = np.random.default_rng(4)
    judgements = {
        f"q{q}": {f"d{d}": int(random.integers(0, 3)) for d in random.choice(200, 30, replace=False)} for q in range(40)
    }
    # Scores without ties: how those are broken is each tool's own affair.
    run = {q: {f"d{d}": float(random.random()) for d in range(200)} for q in judgements}
    ours = judge(run, judgements)
    measures = [reference.parse_measure(name) for name in ("nDCG@10", "RR@10", "R@100")]
    theirs = reference.calc_aggregate(measures, judgements, run)
    mine = (ours.mean.ndcg_at_10, ours.mean.mrr_at_10, ours.mean.recall_at_100)
    assert mine == pytest.approx([theirs[measure] for measure in measures], abs=1e-9)
