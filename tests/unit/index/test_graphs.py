"""Do large collections stay as they are written while a copy of them answers, and is everything found?"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.index.stores.base import Among, Near, unit_rows
from services.index.stores.graph import Graph
from services.index.stores.graphs import GraphStore
from services.index.stores.memory import MemoryStore
from services.llm.backends.toy import ToyEmbedder

pytest.importorskip("usearch", reason="pip install 'ragq[graph]'")
DIMENSION = 16


class Owner(MemoryStore):
    """A store in memory that counts queries, and whose reading can be held up."""

    def __init__(self) -> None:
        super().__init__()
        self.num_queries = 0
        self.reading, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def query(
        self, collection: str, vectors: np.ndarray, k: int, allowed: Sequence[str] | None = None
    ) -> list[list[Near]]:
        self.num_queries += 1
        return super().query(collection, vectors, k, allowed)

    def read(self, collection: str, ids: Sequence[str] | None = None) -> tuple[list[str], np.ndarray]:
        self.reading.set()
        assert self.go_on.wait(10)
        return super().read(collection, ids)


def rows(count: int, seed: int = 0) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).standard_normal((count, DIMENSION)))


def named(count: int, letter: str = "v") -> list[str]:
    return [f"{letter}{i}" for i in range(count)]


def opened(owner: MemoryStore, **limits: int) -> GraphStore:
    store = GraphStore(owner, **{"min_vectors": 100, **limits})
    store.open()
    store.create("a")
    return store


def until_ready(store: GraphStore) -> None:
    store.query("a", rows(1), 1)
    end = time.monotonic() + 20
    while not store.is_ready("a"):
        assert time.monotonic() < end
        time.sleep(0.005)


def test_the_owner_answers_until_the_graph_is_there_and_then_no_more() -> None:
    owner = Owner()
    store = opened(owner)
    store.upsert("a", named(300), rows(300))
    owner.go_on.clear()
    assert store.query("a", rows(300)[7:8], 1)[0][0].id == "v7"
    assert owner.reading.wait(10)
    assert store.query("a", rows(300)[8:9], 1)[0][0].id == "v8"
    assert owner.num_queries == 2
    owner.go_on.set()
    until_ready(store)
    asked = owner.num_queries
    assert store.query("a", rows(300)[9:10], 1)[0][0].id == "v9"
    assert owner.num_queries == asked
    store.close()


def test_what_is_written_and_deleted_while_the_graph_is_built_is_in_it() -> None:
    owner = Owner()
    store = opened(owner)
    store.upsert("a", named(300), rows(300))
    owner.go_on.clear()
    store.query("a", rows(1), 1)
    assert owner.reading.wait(10)
    late = rows(5, seed=9)
    store.upsert("a", named(5, "late"), late)
    store.upsert("a", ["v3"], late[:1])
    store.delete("a", ["v4"])
    owner.go_on.set()
    until_ready(store)
    assert {near.id for near in store.query("a", late[:1], 2)[0]} == {"v3", "late0"}
    assert "v4" not in {near.id for near in store.query("a", rows(300)[4:5], 300)[0]}
    assert [row[0].id for row in store.query("a", late[1:], 1)] == ["late1", "late2", "late3", "late4"]
    store.close()


def test_a_collection_dropped_while_its_graph_is_built_has_none() -> None:
    owner = Owner()
    store = opened(owner)
    store.upsert("a", named(300), rows(300))
    owner.go_on.clear()
    store.query("a", rows(1), 1)
    assert owner.reading.wait(10)
    store.drop("a")
    owner.go_on.set()
    store._wanted.put(None)
    assert store._thread is not None
    store._thread.join(10)
    assert not store.is_ready("a")
    store.close()


@pytest.mark.parametrize("limit", [{"min_vectors": 301}, {"max_bytes": 10_000}, {"max_bytes": 0}])
def test_what_is_too_small_or_does_not_fit_is_left_to_the_owner(limit: dict[str, int]) -> None:
    owner = Owner()
    store = opened(owner, **limit)
    store.upsert("a", named(300), rows(300))
    store.query("a", rows(1), 1)
    store._wanted.put(None)
    assert store._thread is not None
    store._thread.join(10)
    assert not store.is_ready("a")
    assert store.query("a", rows(300)[7:8], 1)[0][0].id == "v7"
    store.close()


def test_without_usearch_the_owner_goes_on(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    store = opened(Owner())
    store.upsert("a", named(300), rows(300))
    with caplog.at_level(logging.WARNING):
        store.query("a", rows(1), 1)
        assert store._thread is not None
        store._thread.join(10)
    assert "searched by the store alone" in caplog.text
    assert store.query("a", rows(300)[7:8], 1)[0][0].id == "v7"
    store.close()


def test_beside_openvino_it_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", sys)
    with pytest.raises(ImportError, match="one process"):
        Graph(rows(3), 3)


def test_templated_sentences_are_all_found_by_their_own_vectors() -> None:
    """Chroma's graph with its defaults loses 19 % of these."""
    texts = [f"File {n} tells of subject {n * 7 + i} in sentence {i}." for n in range(250) for i in range(12)]
    toy = ToyEmbedder()
    vectors = unit_rows(np.stack(toy.run(toy.prepare(texts, "document"))))
    graph = Graph(vectors, len(vectors))
    graph.put(named(len(vectors)), vectors)
    graph.settle()
    found = graph.nearest(vectors, 10)
    assert sum(near[0].score < 0.9999 for near in found) == 0
    assert 0 < graph.num_strays < 0.1 * len(vectors)
    exact = np.sort(vectors[::10] @ vectors.T, axis=1)[:, -10]
    right = [sum(hit.score >= least - 1e-6 for hit in near) for near, least in zip(found[::10], exact, strict=True)]
    assert np.mean(right) / 10 >= 0.9


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 30), min_size=1, max_size=12)), max_size=12))
def test_any_series_of_changes_leaves_what_a_scan_finds(steps: list[tuple[bool, list[int]]]) -> None:
    graph, plain = Graph(rows(8), 8), MemoryStore()
    plain.create("a")
    for number, (is_put, keys) in enumerate(steps):
        ids, vectors = [f"v{key}" for key in keys], rows(len(keys), seed=number + 1)
        if is_put:
            graph.put(ids, vectors)
            plain.upsert("a", ids, vectors)
        else:
            graph.remove(ids)
            plain.delete("a", ids)
    question, few = rows(2, seed=99), [f"v{key}" for key in range(0, 31, 3)]
    assert len(graph) == plain.count("a")
    for mine, right in zip(graph.nearest(question, 3), plain.query("a", question, 3), strict=True):
        assert [near.score for near in mine] == pytest.approx([near.score for near in right], abs=1e-5)
    among = Among(few)
    for _ in range(2):
        for mine, right in zip(graph.among(question, 3, among), plain.query("a", question, 3, few), strict=True):
            assert [near.id for near in mine] == [near.id for near in right]


def test_a_filter_that_is_kept_sees_what_changed() -> None:
    graph, among = Graph(rows(50), 50), Among(named(50))
    graph.put(named(50), rows(50))
    assert graph.among(rows(50)[3:4], 1, among)[0][0].id == "v3"
    graph.remove(["v3"])
    assert graph.among(rows(50)[3:4], 1, among)[0][0].id != "v3"


def test_many_holes_make_the_graph_anew() -> None:
    store = opened(Owner())
    store.upsert("a", named(300), rows(300))
    until_ready(store)
    first = store._graphs["a"]
    store.delete("a", named(120))
    assert store.query("a", rows(300)[200:201], 1)[0][0].id == "v200"
    end = time.monotonic() + 20
    while store._graphs["a"] is first:
        assert time.monotonic() < end
        time.sleep(0.005)
    assert store._graphs["a"].num_holes == 0
    store.close()
