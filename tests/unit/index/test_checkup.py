"""Does fsck see every way in which stores and records can differ, and mend it?"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from clients.checkup import Checked, Checking, Checkup
from clients.errors import Cancelled, NotFound
from services.index.parts import Parts
from services.service import Call, Signal
from tests.unit.index.conftest import Desk

TEXTS = ("Cats sleep on warm mats.", "Interest rates rose in autumn.", "知识库检索方法的说明。")
# Not text: a content above the size of a row is a file of its own.
BIG = b"%PDF-1.4\n" + bytes(range(256)) * 800


@pytest.fixture(params=["memory", "chroma"])
def desk(request: pytest.FixtureRequest, open_desk: Callable[..., Desk]) -> Desk:
    desk = open_desk(store=request.param)
    desk.add_and_wait(*TEXTS)
    return desk


def parts(desk: Desk) -> Parts:
    return desk.service._parts


def key(desk: Desk) -> str:
    return parts(desk).catalog.shelf("papers").key


def a_call() -> Call:
    return Call(time.monotonic() + 30)


def checked(desk: Desk, **request: Any) -> Checked:
    *before, last = parts(desk).examiner.examine(Checkup(**request), a_call())
    assert all(isinstance(step, Checking) for step in before)
    assert isinstance(last, Checked)
    return last


def faults(found: Checked) -> dict[str, tuple[int, bool]]:
    return {finding.fault: (finding.count, finding.is_mended) for finding in found.findings}


def entry_ids(desk: Desk) -> list[str]:
    return sorted(parts(desk).catalog.documents.entries.wanted(parts(desk).catalog.shelf("papers").id))


def run(desk: Desk, statement: str, *values: Any) -> None:
    with parts(desk).database.write() as tx:
        tx.execute(statement, values)


def test_a_sound_index_has_no_findings(desk: Desk) -> None:
    found = checked(desk, probe=True)
    assert found == Checked([], 1, 3, 3, 3)


@pytest.mark.parametrize("probe", [False, True])
def test_vectors_that_the_store_lacks_are_found_and_written_anew(desk: Desk, probe: bool) -> None:
    gone = entry_ids(desk)[0]
    parts(desk).store.delete(key(desk), [gone])
    assert faults(checked(desk))["missing_vectors"] == (1, False)
    assert checked(desk).findings[0].examples == [gone]
    assert faults(checked(desk, probe=probe, repair=True))["missing_vectors"] == (1, True)
    assert checked(desk, probe=True).findings == []


def test_a_vector_that_belongs_to_nothing_is_taken_out(desk: Desk) -> None:
    row = np.ones((1, parts(desk).catalog.shelf("papers").dimension), np.float32)
    parts(desk).store.upsert(key(desk), ["stranger"], row)
    assert faults(checked(desk))["surplus_vectors"] == (1, False)
    checked(desk, repair=True)
    assert checked(desk).findings == []


def test_the_keyword_index_is_compared_too(desk: Desk) -> None:
    parts(desk).keywords.update(key(desk), gone=entry_ids(desk)[:2])
    assert faults(checked(desk)) == {"missing_words": (2, False)}
    assert desk.search("知识", "keyword").hits == [] or desk.search("autumn", "keyword").hits == []
    assert faults(checked(desk, repair=True)) == {"missing_words": (2, True)}
    assert desk.search("知识", "keyword").hits
    assert desk.search("autumn", "keyword").hits


def test_a_vector_that_is_counted_and_not_what_it_should_be_is_found_by_probing_only(desk: Desk) -> None:
    lost = entry_ids(desk)[1]
    wrong = np.zeros((1, parts(desk).catalog.shelf("papers").dimension), np.float32)
    wrong[0, 0] = 1.0
    parts(desk).store.upsert(key(desk), [lost], wrong)
    assert checked(desk).findings == []
    assert faults(checked(desk, probe=True)) == {"wrong_vectors": (1, False)}
    assert faults(checked(desk, probe=True, repair=True)) == {"wrong_vectors": (1, True)}
    assert checked(desk, probe=True).findings == []


def test_a_vector_that_is_wrong_on_the_disk_and_right_in_the_copy_is_found(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(store="chroma")
    desk.add_and_wait(*TEXTS)
    altered = entry_ids(desk)[1]
    assert desk.search("cats", "dense", rerank=False).hits, "there is a copy from now on"
    wrong = np.zeros((1, parts(desk).catalog.shelf("papers").dimension), np.float32)
    wrong[0, 0] = 1.0
    on_disk = parts(desk).store._store  # type: ignore[attr-defined]  # what the copies in memory are made of
    on_disk.upsert(key(desk), [altered], wrong)
    (finding,) = checked(desk, probe=True).findings
    assert (finding.fault, finding.examples) == ("wrong_vectors", [altered])
    assert faults(checked(desk, probe=True, repair=True)) == {"wrong_vectors": (1, True)}
    assert checked(desk, probe=True).findings == []


def test_a_vector_that_is_right_on_the_disk_and_wrong_in_the_copy_is_found(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(store="chroma")
    desk.add_and_wait(*TEXTS)
    lost = entry_ids(desk)[1]
    assert desk.search("cats", "dense", rerank=False).hits
    store = parts(desk).store
    right = store.read(key(desk), [lost])[1]
    wrong = np.zeros_like(right)
    wrong[0, 0] = 1.0
    store.upsert(key(desk), [lost], wrong)
    store._store.upsert(key(desk), [lost], right)  # type: ignore[attr-defined]  # below the copy
    assert faults(checked(desk, probe=True)) == {"lost_vectors": (1, False)}
    assert faults(checked(desk, probe=True, repair=True)) == {"lost_vectors": (1, True)}
    assert checked(desk, probe=True).findings == []


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM vectors WHERE chunk_key = (SELECT min(key) FROM chunks)",
        "DELETE FROM chunks WHERE key = (SELECT min(key) FROM chunks)",
        "UPDATE documents SET num_chunks = 7 WHERE id = (SELECT document_id FROM chunks ORDER BY key LIMIT 1)",
        "UPDATE vectors SET vector = x'00000000' WHERE chunk_key = (SELECT min(key) FROM chunks)",
    ],
)
def test_a_ready_document_that_is_not_whole_is_made_anew_from_its_original(desk: Desk, damage: str) -> None:
    run(desk, damage)
    assert faults(checked(desk))["incomplete_document"] == (1, False)
    assert faults(checked(desk, repair=True))["incomplete_document"] == (1, True)
    parts(desk).ingest.wake()
    desk.until(lambda: {d.status for d in desk.documents().documents} == {"ready"})
    assert checked(desk, probe=True).findings == []


def test_a_lost_original_is_named_and_cannot_be_mended(desk: Desk) -> None:
    desk.upload("large.pdf", BIG)
    (big,) = (d for d in desk.documents().documents if d.name == "large.pdf")
    (sha256,) = (sha for name, sha in parts(desk).catalog.documents.named_contents(1) if name == big.name)
    parts(desk).originals.path(sha256).write_bytes(b"damaged")
    assert checked(desk).findings == []
    (finding,) = checked(desk, probe=True, repair=True).findings
    assert (finding.fault, finding.examples, finding.is_mended) == ("lost_originals", ["large.pdf"], False)
    assert finding.fix
    parts(desk).originals.path(sha256).unlink()
    assert faults(checked(desk)) == {"lost_originals": (1, False)}


def test_originals_that_nobody_has_are_let_go(desk: Desk) -> None:
    with parts(desk).database.write() as tx:
        sha256 = parts(desk).originals.keep(tx, b"nobody's")
    assert faults(checked(desk)) == {"surplus_originals": (1, False)}
    checked(desk, repair=True)
    assert not parts(desk).originals.has(sha256)


def test_many_equal_chunks_are_not_taken_for_lost(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(store="chroma")
    desk.add_and_wait(*("The same sentence again.\n" * n for n in range(1, 31)))
    assert checked(desk, probe=True).findings == []


def test_an_unknown_collection_is_refused(desk: Desk) -> None:
    with pytest.raises(NotFound):
        checked(desk, collection="nobody")


def test_a_check_ends_when_its_caller_leaves(desk: Desk) -> None:
    left = Signal()
    steps = parts(desk).examiner.examine(Checkup(), Call(time.monotonic() + 30, cancelled=left))
    next(steps)
    left.set()
    with pytest.raises(Cancelled):
        list(steps)


def test_what_is_added_and_deleted_meanwhile_is_no_fault(desk: Desk) -> None:
    jobs = [desk.add(f"Text number {n} about rivers and bridges.") for n in range(8)]
    assert all(checked(desk, probe=True).findings == [] for _ in range(3))
    for job in jobs:
        desk.wait(job)
    assert checked(desk, probe=True).findings == []
