"""Test sets are kept by the Index service, and still hold when chunks are cut anew, edited or of a new version."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from clients.calibration import Estimate
from clients.client import Client
from clients.errors import BadRequest, NotFound
from clients.index import Chunking, Hit, IndexClient, Text
from clients.relevance import absent, finds_answer, ranked
from clients.testsets import BATCH, MAX_RUNS, QUESTIONS, Question, QuestionPage, Relevant, Run, digest_of
from services.index import schema
from services.index.migrations import MEASURES, MIGRATIONS
from services.index.schema import Database

WING = Question("What gives lift?", [Relevant("wings.txt", "The wing gives lift.")], "The wing.")
ABSENT = Question("Who won the marathon?", must_abstain=True)
RUN = Run("flight", "hybrid+rerank", "0.1.0", "abc", 2, 0, {"top_k": "8"}, {"ndcg_at_10": Estimate(0.9, 0.8, 1.0)})


def client(desk: Any) -> IndexClient:
    return IndexClient(cast("Client", desk._calls))


@pytest.fixture
def index(open_desk: Callable[..., Any]) -> IndexClient:
    desk = open_desk()
    desk.add_and_wait(Text("wings.txt", "The wing gives lift."))
    return client(desk)


def test_a_set_comes_back_as_it_was_after_a_restart(open_desk: Callable[..., Any]) -> None:
    desk = open_desk()
    desk.add_and_wait("The wing gives lift.")
    made = client(desk).add_questions("flight", [WING, ABSENT], "papers")
    assert (made.name, made.collection, made.num_questions, made.num_runs) == ("flight", "papers", 2, 0)
    client(desk).save_run(RUN)
    desk.close()
    index = client(open_desk())
    assert index.questions("flight") == [WING, ABSENT]
    (run,) = index.runs("flight")
    assert run.figures == RUN.figures
    assert run.created_at > 0
    assert [(s.name, s.num_questions, s.num_runs) for s in index.testsets()] == [("flight", 2, 1)]


def test_a_question_that_the_set_has_takes_the_place_of_the_old_one(index: IndexClient) -> None:
    index.add_questions("flight", [WING, ABSENT], "papers")
    better = Question("What gives lift?", [Relevant("wings.txt")])
    assert index.add_questions("flight", [better]).num_questions == 2
    assert index.questions("flight") == [better, ABSENT]
    assert index.delete_questions("flight", [WING.text, "never asked"]).num_questions == 1
    assert index.questions("flight") == [ABSENT]


def test_a_large_set_is_sent_and_read_in_parts(index: IndexClient) -> None:
    many = [Question(f"Question {i}?") for i in range(2 * BATCH + 3)]
    assert index.add_questions("many", many, "papers").num_questions == len(many)
    assert index.questions("many") == many


def test_a_set_outlives_its_collection_and_is_deleted_by_name(index: IndexClient) -> None:
    index.add_questions("flight", [WING], "papers")
    index.save_run(RUN)
    index.delete_collection("papers")
    assert index.questions("flight") == [WING]
    index.delete_testset("flight")
    assert index.testsets() == []
    for ask in (index.questions, index.runs, index.delete_testset):
        with pytest.raises(NotFound, match="flight"):
            ask("flight")
    with pytest.raises(NotFound, match="flight"):
        index.save_run(RUN)


def test_the_oldest_runs_go(index: IndexClient) -> None:
    index.add_questions("flight", [WING], "papers")
    for number in range(MAX_RUNS + 2):
        index.save_run(Run("flight", "dense", str(number), "abc", 1))
    versions = [run.version for run in index.runs("flight")]
    assert versions == [str(number) for number in range(MAX_RUNS + 1, 1, -1)]


@pytest.mark.parametrize(
    ("name", "collection", "question", "words"),
    [
        ("flight", "papers", Question("  "), "1 to"),
        ("flight", "papers", Question("Lift?", [Relevant("wings.txt")], must_abstain=True), "no answer"),
        ("flight", "papers", Question("Lift?", [Relevant(" ")]), "names no document"),
        ("a\nb", "papers", WING, "no name"),
        ("", "papers", WING, "no name"),
        ("x" * 101, "papers", WING, "no name"),
    ],
)
def test_what_is_no_question_or_name_is_refused_and_nothing_is_kept(
    index: IndexClient, name: str, collection: str, question: Question, words: str
) -> None:
    with pytest.raises(BadRequest, match=words):
        index.add_questions(name, [WING, question], collection)
    assert index.testsets() == []


def test_a_set_measures_one_collection_that_is_there(index: IndexClient) -> None:
    with pytest.raises(NotFound, match="gone"):
        index.add_questions("flight", [WING], "gone")
    with pytest.raises(BadRequest, match="needs a question"):
        index.add_questions("flight", [], "papers")
    index.add_questions("flight", [WING], "papers")
    index.create_collection("other")
    with pytest.raises(BadRequest, match="measures papers"):
        index.add_questions("flight", [WING], "other")
    assert index.add_questions("flight", []).num_questions == 1


def test_a_page_out_of_range_is_refused(index: IndexClient) -> None:
    index.add_questions("flight", [WING], "papers")
    with pytest.raises(BadRequest, match="limit"):
        index._client.call(QUESTIONS, QuestionPage("flight", 0, 0))


def test_records_of_the_former_schema_open_with_everything_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "records.sqlite"
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", MIGRATIONS[: MIGRATIONS.index(MEASURES)])
        old = Database(path)
        with old.write() as tx:
            tx.execute("INSERT INTO collections (name, title, created_at) VALUES ('papers', 'Papers', 1.0)")
            tx.execute("INSERT INTO turns VALUES (1, 'c', 'Why?', 'So.', 'papers', 1.0, '{}')")
        old.close()
    database = Database(path)
    read = database.read()
    assert tuple(read.execute("SELECT name, title FROM collections").fetchone()) == ("papers", "Papers")
    assert read.execute("SELECT answer FROM turns").fetchone()[0] == "So."
    assert read.execute("SELECT count(*) FROM testsets").fetchone()[0] == 0
    database.close()


FLIGHT = "The wing gives lift. The tail gives balance. The engine gives thrust. The rudder turns the nose."


def seen(hit: Hit) -> Question:
    """A question that this hit answers, as a page keeps it."""
    return Question("?", [Relevant(hit.document, hit.text, hit.document_id, hit.start, hit.end)])


def answered(question: Question, hits: list[Hit]) -> list[str]:
    return [hit.text for hit in hits if finds_answer(question, [hit])]


def test_what_was_judged_relevant_stays_so_when_chunks_are_cut_anew(open_desk: Callable[..., Any]) -> None:
    desk = open_desk()
    desk.add_and_wait(Text("flight.txt", FLIGHT), chunking=Chunking(45, 0))
    index = client(desk)
    before = index.search("papers", "engine thrust", mode="keyword")
    question = seen(before[0])
    assert answered(question, before) == [before[0].text]
    desk.add_and_wait(Text("flight.txt", FLIGHT), chunking=Chunking(25, 0))
    after = index.search("papers", "what gives lift, balance, thrust? the rudder?", mode="keyword")
    assert len({hit.chunk_id for hit in before} & {hit.chunk_id for hit in after}) == 0
    found = answered(question, after)
    assert "The engine gives thrust." in found
    assert "The wing gives lift." not in found
    desk.add_and_wait(Text("flight.txt", FLIGHT), chunking=Chunking(500, 0))
    (whole,) = index.search("papers", "engine", mode="keyword")
    assert finds_answer(question, [whole])


def test_what_was_judged_relevant_stays_so_when_a_person_edits_splits_and_merges(open_desk: Callable[..., Any]) -> None:
    desk = open_desk()
    desk.add_and_wait(Text("flight.txt", FLIGHT), chunking=Chunking(45, 0))
    index = client(desk)
    best = index.search("papers", "engine thrust", mode="keyword")[0]
    question = seen(best)
    index.edit_chunk(best.chunk_id, "The motor pushes the plane forward.")
    (edited,) = index.search("papers", "motor", mode="keyword")
    assert finds_answer(question, [edited])


def test_a_new_version_of_a_document_is_held_against_the_words(open_desk: Callable[..., Any]) -> None:
    desk = open_desk()
    desk.add_and_wait(Text("flight.txt", FLIGHT), chunking=Chunking(30, 0))
    index = client(desk)
    question = seen(index.search("papers", "engine thrust", mode="keyword")[0])
    index.delete_document(question.relevant[0].document_id)
    newer = f"A new preface stands here and moves everything. {FLIGHT}"
    desk.add_and_wait(Text("flight.txt", newer), chunking=Chunking(30, 0))
    hits = index.search("papers", "preface lift balance engine thrust rudder", mode="keyword")
    assert {hit.document_id for hit in hits}.isdisjoint({question.relevant[0].document_id})
    found = answered(question, hits)
    assert any("engine" in text for text in found)
    assert not any("preface" in text for text in found)
    assert absent([question], index.documents("papers").documents) == []
    index.delete_document(hits[0].document_id)
    assert absent([question], index.documents("papers").documents) == question.relevant


def test_a_name_alone_means_any_part_of_a_document(index: IndexClient) -> None:
    hits = index.search("papers", "lift", mode="keyword")
    assert finds_answer(Question("?", [Relevant("wings.txt")]), hits)
    assert not finds_answer(Question("?", [Relevant("tails.txt")]), hits)
    assert not finds_answer(Question("?", [Relevant("wings.txt", grade=0)]), hits)


def test_the_digest_changes_with_any_question_but_not_with_their_order() -> None:
    assert digest_of([WING, ABSENT]) == digest_of([ABSENT, WING])
    assert digest_of([WING]) != digest_of([Question(WING.text, WING.relevant, "The tail.")])


def test_a_passage_in_several_hits_counts_once_at_its_best_place() -> None:
    def hit(chunk: str, document: str, start: int) -> Hit:
        return Hit(chunk, document, document, "x" * 10, 1.0, "bm25", start, start + 10)

    hits = [hit("c1", "b", 0), hit("c2", "a", 0), hit("c3", "a", 5), hit("c4", "b", 50)]
    passage = Question("?", [Relevant("a", "x" * 15, "a", 0, 15)])
    assert ranked(passage, hits) == {"c1": -1.0, "0": -2.0, "c4": -4.0}
    document = Question("?", [Relevant("a")])
    assert ranked(document, hits) == {"b": -1.0, "0": -2.0}
