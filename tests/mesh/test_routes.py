"""All three routes of an answer, over a live mesh with toy models."""

from __future__ import annotations

import json

import pytest

from clients import Ragq
from clients.answers import Answer, Decision, Delta, Sources
from clients.calibration import Calibration, scorers_of
from clients.errors import NotFound
from clients.index import Chunking
from tests.conftest import LiveMesh

pytestmark = pytest.mark.mesh
QUESTION = "Which colour is the zeppelin mast?"
STORE = " ".join(f"Paragraph {i} tells of sheets, bolts, rivets, paint and glue in shelf {i}." for i in range(25))
# Its one telling word is in a long text that vectors do not find; many short ones share the others.
MASTS = [
    *[f"Which colour the mast number {i} is painted in is not known." for i in range(30)],
    f"{STORE} The zeppelin mast is painted orange.",
]
BETWEEN = {"top_k": 1, "threshold": 0.93, "threshold_low": 0.3}


@pytest.fixture(scope="module")
def mesh(toy_mesh: LiveMesh) -> Ragq:
    mesh = toy_mesh.client(timeout_s=60.0)
    mesh.index.add("routes", texts=MASTS, chunking=Chunking(4000, 0)).wait(60)
    return mesh


def test_the_decision_comes_before_the_first_word(mesh: Ragq) -> None:
    kinds = [type(event) for event in mesh.ask("routes", "Where is the zeppelin mast painted orange?", stream=True)]
    assert kinds.index(Sources) < kinds.index(Decision) < kinds.index(Delta)


def test_a_search_that_suffices_is_answered(mesh: Ragq) -> None:
    answer = mesh.ask("routes", "Is the zeppelin mast painted orange?")
    assert answer.decision.route == "answer"
    assert "second_search" not in answer.timings
    best = answer.decision.candidates[0]
    assert best.bi_score is not None
    assert best.bm25_rank == 1
    assert not answer.decision.calibrated


def test_an_unsure_search_is_mended_by_words(mesh: Ragq) -> None:
    answer = mesh.ask("routes", QUESTION, **BETWEEN)
    assert answer.decision.route == "fallback"
    assert "zeppelin" in " ".join(citation.text for citation in answer.citations)
    assert "second_search" in answer.timings


def test_an_unsure_search_that_words_do_not_mend_names_what_may_be_related(mesh: Ragq) -> None:
    answer = mesh.ask("routes", QUESTION, **{**BETWEEN, "threshold": 1.0})
    assert (answer.decision.route, answer.decision.cause, answer.kind) == ("absent", "unsure", "none")
    assert "Possibly related" in answer.text


def test_what_the_collection_lacks_is_said_and_can_be_demanded(mesh: Ragq, toy_mesh: LiveMesh) -> None:
    question = "Who won the chess cup in Paris?"
    answer = mesh.ask("routes", question)
    assert (answer.decision.route, answer.decision.cause) == ("absent", "irrelevant")
    assert answer.text.startswith("This is not in the collection")
    printed = toy_mesh.run("ask", question, "-c", "routes")
    assert "uncalibrated" in printed.stdout
    assert "t_low 0.20, t_high 0.50" in printed.stdout
    demanded = toy_mesh.run("ask", question, "-c", "routes", "--anyway", "--json")
    found = json.loads(demanded.stdout)
    assert (found["is_grounded"], found["kind"], found["decision"]["route"]) == (False, "extractive", "absent")


def test_an_empty_collection_and_a_missing_one_are_told_apart(mesh: Ragq) -> None:
    mesh.index.create_collection("routes-empty", exist_ok=True)
    answer: Answer = mesh.ask("routes-empty", QUESTION)
    assert (answer.decision.cause, answer.kind) == ("empty", "none")
    with pytest.raises(NotFound, match="routes-none"):
        mesh.ask("routes-none", QUESTION)


def test_a_calibration_decides_as_long_as_its_models_are_there(mesh: Ragq) -> None:
    here = scorers_of(mesh.llm.models(), mesh.config.ask.top_k)
    mesh.index.set_calibration(Calibration("routes", here, slope=1.0, intercept=0.0, t_low=0.98, t_high=0.9999))
    try:
        decision = mesh.ask("routes", QUESTION).decision
        assert (decision.route, decision.calibrated, decision.t_low, decision.threshold) == (
            "absent",
            True,
            0.98,
            0.9999,
        )
        forced = mesh.ask("routes", QUESTION, threshold=0.0).decision
        assert (forced.route, forced.calibrated) == ("answer", True)
        note = mesh.ask("routes", QUESTION, top_k=3).notes[0]
        assert "the calibration is not used" in note
    finally:
        mesh.index.forget_calibration("routes")
    assert not mesh.ask("routes", QUESTION).decision.calibrated
