"""Fitting the decision to a collection from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from clients.documents import Chunk
from clients.index import Text
from tests.unit.cli.desk import Desk
from ui.cli.controls import question_of

Run = Callable[..., Result]
THINGS = ["wing", "tail", "rudder", "motor", "flap", "battery", "cabin", "gear", "radar", "wheel"]
VERBS = ["lifts", "turns", "holds", "warms"]


@pytest.fixture
def parts(desk: Desk, tmp_path: Path) -> Path:
    """A collection of forty sentences, and a file with a question for each and some about something else."""
    texts = [Text(f"{thing}-{verb}.txt", f"the {thing} {verb} a plane {i}") for i, (thing, verb) in enumerate(
        (thing, verb) for thing in THINGS for verb in VERBS)]  # fmt: skip
    desk.index.add("parts", texts=texts)
    lines = [{"question": f"what {t.name[:-4].replace('-', ' ')} number {i}", "documents": [t.name]}
             for i, t in enumerate(texts)]  # fmt: skip
    lines += [{"question": f"a recipe of soup {i} please", "documents": []} for i in range(20)]
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_a_test_set_is_fitted_to_and_the_result_kept(ragq: Run, desk: Desk, parts: Path) -> None:
    result = ragq("calibrate", "-c", "parts", "--test-set", parts, "--target", "precision=0.9", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    (kept,) = desk.index_side.fitted
    assert (found["t_low"], found["t_high"], found["source"]) == (kept.t_low, kept.t_high, "labelled")
    assert 0 <= kept.t_low < kept.t_high <= 1
    assert kept.scorers.embedder == "toy-embed"
    assert kept.quality.num_answerable == kept.quality.num_hard > 10
    assert kept.quality.figures["auroc_easy"].value == 1.0
    asked = [r for r in desk.index_side.requests if hasattr(r, "query")]
    assert sum(bool(r.without) for r in asked) == 40  # every question once as if its document were missing


def test_the_table_says_what_was_measured(ragq: Run, parts: Path) -> None:
    result = ragq("calibrate", "-c", "parts", "--test-set", parts)
    assert result.exit_code == 0, result.output
    for words in ("t_high", "without their documents", "calibration error after", "95 % INTERVAL", "Platt"):
        assert words in result.output


def test_without_a_test_set_questions_are_made_and_called_weaker(ragq: Run, desk: Desk, parts: Path) -> None:
    desk.index.add("soups", texts=[Text(f"s{i}", f"the soup {i} needs salt") for i in range(30)])
    result = ragq("calibrate", "-c", "parts")
    assert result.exit_code == 0, result.output
    assert "made of the collection's own chunks" in result.output
    assert desk.index_side.fitted[0].source == "synthetic"


def test_going_back_to_the_defaults(ragq: Run, desk: Desk, parts: Path) -> None:
    ragq("calibrate", "-c", "parts", "--test-set", parts)
    assert desk.index_side.fitted
    assert "defaults again" in ragq("calibrate", "-c", "parts", "--target", "none").output
    assert not desk.index_side.fitted


def test_a_test_set_of_another_collection_is_refused_with_the_way_out(ragq: Run, desk: Desk, parts: Path) -> None:
    desk.index.add("other", texts=[Text("x", "something else")])
    result = ragq("calibrate", "-c", "other", "--test-set", parts)
    assert result.exit_code != 0
    assert "no document that the test set names is in other" in str(result.exception)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{}", "'question' is missing"),
        ('{"question": "x", "documents": "y"}', "is not a list of names"),
        ("", "no questions"),
    ],
)
def test_a_line_that_is_no_question_is_named(ragq: Run, desk: Desk, parts: Path, line: str, words: str) -> None:
    parts.write_text(line, encoding="utf-8")
    result = ragq("calibrate", "-c", "parts", "--test-set", parts)
    assert words in str(result.exception)


@pytest.mark.parametrize(
    ("heading", "text", "question"),
    [
        ("Guide > How to start the mesh", "Run it.", "How to start the mesh"),
        ("Guide", "The wing gives lift. It has flaps.", "The wing gives lift."),
        ("指南 > 如何启动服务", "运行它。", "如何启动服务"),
        ("", "索引服务用哪个端口？七七八三。", "索引服务用哪个端口？"),
        ("", "Yes. It is so.", ""),
    ],
)
def test_a_question_is_made_of_a_heading_or_a_first_sentence(heading: str, text: str, question: str) -> None:
    assert question_of(Chunk("c", "d", 0, text, 0, len(text), heading=heading)) == question
