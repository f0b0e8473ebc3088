"""Do large collections stay as they are written while a copy of them answers, and is everything found?"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest

from services.index.stores.base import Near, unit_rows
from services.index.stores.coded import CodedStore
from services.index.stores.memory import MemoryStore

pytest.importorskip("faiss", reason="pip install 'ragq[faiss]'")
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


def opened(owner: MemoryStore, **limits: int) -> CodedStore:
    store = CodedStore(owner, **{"min_vectors": 100, **limits})
    store.open()
    store.create("a")
    return store


def until_ready(store: CodedStore) -> None:
    store.query("a", rows(1), 1)
    end = time.monotonic() + 20
    while not store.is_ready("a"):
        assert time.monotonic() < end
        time.sleep(0.005)


def test_the_owner_answers_until_the_copy_is_there_and_then_no_more() -> None:
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


def test_what_is_written_and_deleted_while_the_copy_is_made_is_in_it() -> None:
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


def test_a_collection_dropped_while_it_is_copied_has_no_copy() -> None:
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


def test_without_faiss_the_owner_goes_on(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    store = opened(Owner())
    store.upsert("a", named(300), rows(300))
    with caplog.at_level(logging.WARNING):
        store.query("a", rows(1), 1)
        assert store._thread is not None
        store._thread.join(10)
    assert "searched by the store alone" in caplog.text
    assert store.query("a", rows(300)[7:8], 1)[0][0].id == "v7"
    store.close()


def test_a_collection_that_doubled_is_copied_anew() -> None:
    store = opened(Owner())
    store.upsert("a", named(300), rows(300))
    until_ready(store)
    first = store._copies["a"]
    store.upsert("a", named(400, "w"), rows(400, seed=1))
    assert store.query("a", rows(400, seed=1)[200:201], 1)[0][0].id == "w200"
    end = time.monotonic() + 20
    while store._copies["a"] is first:
        assert time.monotonic() < end
        time.sleep(0.005)
    assert store._copies["a"].num_learned == 700
    store.close()


def test_searches_while_others_write_and_delete_find_what_stays() -> None:
    store, kept = opened(Owner()), rows(3000)
    store.upsert("a", named(3000), kept)
    until_ready(store)
    wrong: list[str] = []
    is_over = threading.Event()

    def ask(first: int) -> None:
        number = first
        while not is_over.is_set():
            near = store.query("a", kept[number : number + 1], 3)[0]
            if near[0].id != f"v{number}" or any(hit.id == "gone" for hit in near):
                wrong.append(f"v{number}: {near}")
            number = (number + 7) % 3000

    store.upsert("a", ["gone"], kept[:1])
    store.delete("a", ["gone"])
    threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(30):
        store.upsert("a", named(40, f"t{turn}-"), rows(40, seed=turn + 2))
        store.upsert("a", named(20), kept[:20])
        store.delete("a", named(40, f"t{turn - 1}-"))
    is_over.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert store.count("a") == 3040
    store.close()
