"""Does the copy in memory say what the store that owns the vectors holds, and does it stay small?"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.errors import BackendError
from services.index.stores.base import Near
from services.index.stores.exact import KEPT_S, ExactStore
from services.index.stores.memory import MemoryStore

DIMENSION = 8
NAMES = [f"n{i}" for i in range(12)]


class Owner(MemoryStore):
    """A store in memory that counts what it is asked, can be held up, and can fail."""

    def __init__(self) -> None:
        super().__init__()
        self.num_queries = 0
        self.fails = False
        self.go_on = threading.Event()
        self.go_on.set()
        self.entered = threading.Event()

    def query(
        self, collection: str, vectors: np.ndarray, k: int, allowed: Sequence[str] | None = None
    ) -> list[list[Near]]:
        self.num_queries += 1
        return super().query(collection, vectors, k, allowed)

    def upsert(self, collection: str, ids: Sequence[str], vectors: np.ndarray) -> None:
        self.entered.set()
        self.go_on.wait(10)
        super().upsert(collection, ids, vectors)
        if self.fails:
            raise BackendError("the disk is full")


def rows(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)


def filled(owner: MemoryStore, **limits: int) -> ExactStore:
    store = ExactStore(owner, **limits)
    store.create("a")
    store.upsert("a", [f"v{i}" for i in range(50)], rows(50))
    return store


def test_a_small_collection_is_answered_from_the_copy() -> None:
    owner = Owner()
    store = filled(owner)
    assert store.query("a", rows(1), 1)[0][0].id == "v0"
    assert store.query("a", rows(1), 1, ["v3"])[0][0].id == "v3"
    assert owner.num_queries == 0


def test_a_collection_that_grew_is_left_to_its_owner_and_taken_back_when_it_shrank() -> None:
    owner = Owner()
    store = filled(owner, max_vectors=60)
    store.query("a", rows(1), 1)
    store.upsert("a", [f"w{i}" for i in range(20)], rows(20, seed=1))
    assert store.query("a", rows(1, seed=1), 1)[0][0].id == "w0"
    assert owner.num_queries == 1
    store.delete("a", [f"v{i}" for i in range(15)])
    assert store.query("a", rows(1, seed=1), 1)[0][0].id == "w0"
    assert owner.num_queries == 1


def test_copies_give_way_to_others_when_nobody_searched_them_for_a_minute() -> None:
    owner, now = Owner(), [0.0]
    store = ExactStore(owner, max_bytes=50 * DIMENSION * 4, clock=lambda: now[0])
    for name in "ab":
        store.create(name)
        store.upsert(name, [f"v{i}" for i in range(50)], rows(50))
        store.query(name, rows(1), 1)
    assert owner.num_queries == 1
    now[0] = KEPT_S + 1
    store.query("b", rows(1), 1)
    assert owner.num_queries == 1
    store.query("a", rows(1), 1)
    assert owner.num_queries == 2


def test_a_search_does_not_wait_for_what_is_being_written() -> None:
    owner = Owner()
    store = filled(owner)
    owner.go_on.clear()
    owner.entered.clear()
    writing = threading.Thread(target=store.upsert, args=("a", ["late"], rows(1, seed=5)))
    writing.start()
    assert owner.entered.wait(10)
    assert store.query("a", rows(1), 1)[0][0].id == "v0"
    assert owner.num_queries == 1
    owner.go_on.set()
    writing.join()
    assert store.query("a", rows(1, seed=5), 1)[0][0].id == "late"


def test_after_a_write_that_failed_the_copy_is_made_anew() -> None:
    owner = Owner()
    store = filled(owner)
    store.query("a", rows(1), 1)
    owner.fails = True
    with pytest.raises(BackendError, match="disk"):
        store.upsert("a", ["half"], rows(1, seed=5))
    assert store.query("a", rows(1, seed=5), 1)[0][0].id == "half"
    assert owner.num_queries == 0


writes = st.tuples(
    st.sampled_from(["upsert", "delete", "search", "drop"]), st.lists(st.sampled_from(NAMES), max_size=6)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(writes, max_size=12))
def test_the_copy_finds_what_its_owner_finds(steps: list[tuple[str, list[str]]]) -> None:
    owner = MemoryStore()
    store = ExactStore(owner, max_vectors=9)
    store.create("a")
    for number, (what, ids) in enumerate(steps):
        if what == "upsert":
            store.upsert("a", ids, rows(len(ids), seed=number))
        elif what == "delete":
            store.delete("a", ids)
        elif what == "drop":
            store.drop("a")
            store.create("a")
        question = rows(2, seed=99)
        for allowed in (None, sorted(set(ids))):
            pairs = zip(store.query("a", question, 4, allowed), owner.query("a", question, 4, allowed), strict=True)
            for mine, theirs in pairs:
                assert [near.id for near in mine] == [near.id for near in theirs]
                assert [near.score for near in mine] == pytest.approx([near.score for near in theirs], abs=1e-6)
