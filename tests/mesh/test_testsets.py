"""Saved test sets from the command line against a live mesh: made, measured, compared, kept and taken out again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from clients import Ragq
from clients.errors import BadRequest, NotFound
from clients.index import Text
from tests.conftest import LiveMesh
from ui.cli.evaluate import evaluate
from ui.cli.session import Session
from ui.cli.testsets import testset as kept_sets

pytestmark = pytest.mark.mesh
COMMANDS: dict[str, click.Command] = {"testset": kept_sets, "eval": evaluate}
TEXTS = {
    "wings.txt": "The wing gives lift to the plane.",
    "tails.txt": "The tail gives balance in the air.",
    "boats.txt": "A boat floats on the water of the lake.",
}
Command = Callable[..., Result]


@pytest.fixture
def ragq(toy_mesh: LiveMesh) -> Command:
    def run(*arguments: object) -> Result:
        name, *rest = map(str, arguments)
        return CliRunner().invoke(COMMANDS[name], rest, obj=Session(str(toy_mesh.config)))

    return run


@pytest.fixture
def mesh(toy_mesh: LiveMesh) -> Iterator[Ragq]:
    client = toy_mesh.client()
    client.index.create_collection("flight", exist_ok=True)
    client.index.add("flight", texts=[Text(name, text) for name, text in TEXTS.items()]).wait(20)
    yield client
    for found in client.index.testsets():
        client.index.delete_testset(found.name)


def told(result: Result) -> Any:
    assert result.exit_code == 0, result.output + str(result.exception)
    return json.loads(result.stdout)


@pytest.fixture
def filled(mesh: Ragq, ragq: Command) -> Ragq:
    ragq("testset", "add", "basics", "what gives lift?", "-c", "flight", "--document", "wings.txt")
    ragq("testset", "add", "basics", "what gives balance?", "--document", "tails.txt", "--text", TEXTS["tails.txt"])
    ragq("testset", "add", "basics", "who won the marathon yesterday?", "--absent")
    return mesh


def test_a_set_is_measured_and_its_run_is_kept(filled: Ragq, ragq: Command) -> None:
    found = told(ragq("eval", "--testset", "basics", "--mode", "keyword", "--json"))
    assert (found["collection"], found["run"]["num_questions"], found["num_abstain"]) == ("flight", 3, 1)
    figures = found["run"]["figures"]
    assert [figures[name]["value"] for name in ("ndcg_at_10", "mrr_at_10", "recall_at_100")] == [1.0, 1.0, 1.0]
    assert figures["abstention_recall"]["value"] == 1.0
    assert set(figures) >= {"abstention_precision", "coverage", "risk_coverage_area"}
    (kept,) = filled.index.runs("basics")
    assert (kept.way, kept.digest, kept.settings["documents"]) == ("keyword", found["run"]["digest"], "3")
    assert found["before"] is None
    assert told(ragq("eval", "--testset", "basics", "--mode", "keyword", "--json"))["before"]["digest"] == kept.digest
    assert "keyword" in ragq("testset", "runs", "basics").stdout


def test_two_ways_are_compared_question_by_question(filled: Ragq, ragq: Command) -> None:
    out = ragq("eval", "--testset", "basics", "--mode", "dense", "--compare", "hybrid+rerank").output
    assert "basics on flight: 3 questions, 1 of them to be refused, dense" in out
    assert "hybrid+rerank instead, p " in out


def test_a_part_of_a_set_is_measured_and_not_kept(filled: Ragq, ragq: Command) -> None:
    found = told(ragq("eval", "--testset", "basics", "--limit", "1", "--json"))
    assert found["run"]["num_questions"] == 1
    assert filled.index.runs("basics") == []


def test_without_questions_to_refuse_each_is_asked_again_without_its_documents(filled: Ragq, ragq: Command) -> None:
    ragq("testset", "delete", "basics", "--question", "who won the marathon yesterday?")
    figures = told(ragq("eval", "--testset", "basics", "--json"))["run"]["figures"]
    assert figures["coverage"]["value"] * figures["answer_precision"]["value"] == 0.5, "half of what is asked"


def test_what_is_missing_from_the_collection_is_said(filled: Ragq, ragq: Command) -> None:
    ragq("testset", "add", "basics", "where is the submarine?", "--document", "submarines.txt")
    result = ragq("eval", "--testset", "basics")
    assert "1 passages that answer questions are not in flight: submarines.txt" in result.output
    assert told(ragq("eval", "--testset", "basics", "--json"))["run"]["num_missing"] == 1


def test_a_set_whose_collection_is_gone_says_so(mesh: Ragq, ragq: Command) -> None:
    mesh.index.add("brief", texts=[Text("a.txt", "Brief.")]).wait(20)
    ragq("testset", "add", "short", "how long?", "-c", "brief", "--absent")
    mesh.index.delete_collection("brief")
    result = ragq("eval", "--testset", "short")
    assert isinstance(result.exception, NotFound)
    assert "is gone" in str(result.exception)


@pytest.mark.parametrize("flag", [[], ["--csv"]], ids=["jsonl", "csv"])
def test_an_export_is_read_back_as_the_same_questions(
    filled: Ragq, ragq: Command, tmp_path: Path, flag: list[str]
) -> None:
    path = tmp_path / ("set.csv" if flag else "set.jsonl")
    path.write_text(ragq("testset", "export", "basics", *flag).stdout, encoding="utf-8")
    assert ragq("testset", "import", "copy", path, "-c", "flight").exit_code == 0
    assert filled.index.questions("copy") == filled.index.questions("basics")
    listed = {s["name"]: s["num_questions"] for s in told(ragq("testset", "list", "--json"))}
    assert listed == {"basics": 3, "copy": 3}


def test_questions_are_shown_and_deleted(filled: Ragq, ragq: Command) -> None:
    out = ragq("testset", "show", "basics").stdout
    assert "what gives lift?\n    wings.txt\n" in out
    assert "    no answer in the collection\n" in out
    assert ragq("testset", "delete", "basics", "--question", "what gives lift?").exit_code == 0
    assert len(filled.index.questions("basics")) == 2
    assert ragq("testset", "delete", "basics", "--yes").exit_code == 0
    assert filled.index.testsets() == []


@pytest.mark.parametrize(
    "arguments",
    [("eval",), ("eval", "somewhere", "--testset", "x"), ("testset", "add", "x", "why?", "-c", "flight")],
    ids=["nothing to measure", "two things to measure", "nothing that answers"],
)
def test_what_is_not_clear_is_refused(mesh: Ragq, ragq: Command, arguments: tuple[str, ...]) -> None:
    assert isinstance(ragq(*arguments).exception, BadRequest)
