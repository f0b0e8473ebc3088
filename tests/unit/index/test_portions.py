"""What is written to Chroma goes in portions, and lets those who search go first."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from services.index.stores.chroma import ChromaStore
from services.index.stores.portions import Portions, Precedence


class Counted(Precedence):
    """Counts how often somebody asked whether the way is clear."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self.num_asked = 0

    def give_way(self) -> None:
        self.num_asked += 1
        super().give_way()


def test_many_vectors_go_in_portions_and_none_is_left_out(tmp_path: Path) -> None:
    precedence = Counted()
    store = ChromaStore(tmp_path, precedence)
    store.open()
    store.create("papers")
    ids = [f"{number:04d}" for number in range(300)]
    store.upsert("papers", ids, np.random.default_rng(0).standard_normal((300, 8)).astype(np.float32))
    assert store.ids("papers") == set(ids)
    assert precedence.num_asked > 1
    store.close()


def test_a_portion_waits_until_the_search_is_over() -> None:
    precedence, has_written = Precedence(max_wait_s=30.0), threading.Event()

    def write() -> None:
        precedence.give_way()
        has_written.set()

    with precedence.searching():
        writer = threading.Thread(target=write)
        writer.start()
        assert not has_written.wait(0.1)
    assert has_written.wait(10.0)
    writer.join()


def test_people_who_search_all_the_time_do_not_keep_out_what_is_added() -> None:
    precedence = Precedence(max_wait_s=0.01)
    with precedence.searching():
        precedence.give_way()


def test_portions_grow_while_they_are_quick_and_shrink_when_they_are_slow() -> None:
    portions = Portions()
    portions.took(portions.size, 0.01)
    assert portions.size == 2 * Portions.FIRST
    portions.took(1, 0.001)
    assert portions.size == 2 * Portions.FIRST
    for _ in range(20):
        portions.took(portions.size, 1.0)
    assert portions.size == Portions.MIN
    for _ in range(20):
        portions.took(portions.size, 0.0)
    assert portions.size == Portions.MAX
