"""Do test sets go along with their collection, under free names, and mean the documents that went along?"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from clients import index as contract
from clients import testsets
from clients.calibration import Estimate
from clients.errors import BadRequest
from clients.testsets import Question, Relevant
from tests.unit.index.conftest import Desk
from tests.unit.index.test_transfer import exported, filled, imported, rewritten


@pytest.fixture
def desk(open_desk: Callable[..., Desk]) -> Desk:
    return filled(open_desk())


def marked(desk: Desk) -> Question:
    (document,) = desk.documents(keyword="birds.txt").documents
    passage = Relevant("birds.txt", "Bridges carry trains.", document.id, 23, 44)
    return Question("What carries trains?", [passage, Relevant("gone.txt", document_id="f" * 32)], "Bridges.")


def measured(desk: Desk, name: str = "basics") -> list[Question]:
    """A test set with two runs, the first of another state of it."""
    asked = [marked(desk), Question("Who won?", must_abstain=True)]
    desk.call(testsets.ADD_QUESTIONS, testsets.AddQuestions(name, "papers", asked))
    for digest in ("before", testsets.digest_of(asked)):
        figures = {"ndcg_at_10": Estimate(0.9, 0.8, 1.0)}
        desk.call(testsets.SAVE_RUN, testsets.Run(name, "hybrid", "0.1.0", digest, 2, figures=figures))
    return asked


def questions(desk: Desk, name: str) -> list[Question]:
    found: testsets.Questions = desk.call(testsets.QUESTIONS, testsets.QuestionPage(name))
    return found.questions


def sets(desk: Desk) -> dict[str, str]:
    return {one.name: one.collection for one in desk.call(testsets.TESTSETS).sets}


def test_test_sets_come_along_and_mean_the_documents_that_came_along(desk: Desk, tmp_path: Path) -> None:
    asked = measured(desk)
    imported(desk, exported(desk, tmp_path / "papers.ragq"))
    assert sets(desk) == {"basics": "papers", "basics (copy)": "copy"}
    passage, gone = asked[0].relevant
    (there,) = desk.documents("copy", keyword="birds.txt").documents
    assert there.id != passage.document_id
    moved = [replace(asked[0], relevant=[replace(passage, document_id=there.id), gone]), asked[1]]
    assert questions(desk, "basics (copy)") == moved
    runs = desk.call(testsets.RUNS, testsets.SetName("basics (copy)")).runs
    assert [run.digest for run in runs] == [testsets.digest_of(moved), "before"], "which runs are of this state"
    before = desk.call(testsets.RUNS, testsets.SetName("basics")).runs
    assert runs[1] == replace(before[1], testset="basics (copy)")


def test_a_set_that_outlived_its_collection_is_not_added_again(desk: Desk, tmp_path: Path) -> None:
    asked = measured(desk)
    path = exported(desk, tmp_path / "papers.ragq")
    desk.call(contract.DELETE_COLLECTION, contract.CollectionName("papers"))
    imported(desk, path, "papers")
    assert sets(desk) == {"basics": "papers"}
    desk.call(testsets.DELETE_QUESTIONS, testsets.DeleteQuestions("basics", ["Who won?"]))
    desk.call(contract.DELETE_COLLECTION, contract.CollectionName("papers"))
    imported(desk, path, "papers")
    assert sets(desk) == {"basics": "papers", "basics (papers)": "papers"}
    assert questions(desk, "basics (papers)") == asked
    assert len(questions(desk, "basics")) == 1


def test_a_file_with_test_sets_needs_a_newer_reader_and_one_without_does_not(desk: Desk, tmp_path: Path) -> None:
    def version(path: Path) -> int:
        with zipfile.ZipFile(path) as file:
            return int(json.loads(file.read("manifest.json"))["version"])

    assert version(exported(desk, tmp_path / "papers.ragq")) == 1
    measured(desk)
    assert version(exported(desk, tmp_path / "papers.ragq")) == 2
    assert version(exported(desk, tmp_path / "papers.ragq", with_testsets=False)) == 1
    imported(desk, tmp_path / "papers.ragq")
    assert sets(desk) == {"basics": "papers"}


@pytest.mark.parametrize(
    ("member", "change"),
    [
        ("questions.jsonl", lambda raw: raw[: raw.index(b"\n") + 1]),
        ("questions.jsonl", lambda raw: raw + raw),
        ("questions.jsonl", lambda raw: raw[: raw.index(b"\n") + 1] * 2),
        ("questions.jsonl", lambda raw: raw.replace(b'"text": "Who won?"', b'"text": ""')),
        ("runs.jsonl", lambda raw: raw.replace(b'"hybrid"', b"3")),
        ("runs.jsonl", lambda _: None),
        ("testsets.jsonl", lambda raw: raw.replace(b"basics", b" basics")),
        ("testsets.jsonl", lambda raw: raw.replace(b'"num_runs": 2', b'"num_runs": 2000000')),
    ],
)
def test_damaged_test_sets_are_refused_as_a_whole(
    desk: Desk, tmp_path: Path, member: str, change: Callable[[bytes], bytes | None]
) -> None:
    measured(desk)
    with pytest.raises(BadRequest):
        imported(desk, rewritten(exported(desk, tmp_path / "papers.ragq"), member, change))
    assert [c.name for c in desk.call(contract.COLLECTIONS).collections] == ["papers"]
    assert sets(desk) == {"basics": "papers"}
