"""Collections, documents and status on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from click.testing import Result

from clients.checkup import Checked, Finding, Remaking
from clients.errors import NotFound
from tests.unit.cli.desk import Desk
from ui.cli import show
from ui.cli.progress import PlainMeter

Run = Callable[..., Result]


@pytest.fixture
def filled(desk: Desk) -> Desk:
    desk.index.add("docs", files={"a.txt": b"alpha", "bad.bin": b"\0"})
    desk.index.create_collection("空", "An empty one")
    return desk


def test_collections_are_listed_in_aligned_columns(ragq: Run, filled: Desk) -> None:
    lines = ragq("collections").stdout.splitlines()
    assert lines[0].split() == ["NAME", "DOCUMENTS", "CHUNKS", "FAILED", "MODEL", "CREATED", "TITLE"]
    assert lines[1].split()[:5] == ["docs", "2", "1", "1", "toy-embed"]
    assert lines[1].index("toy-embed") == lines[0].index("MODEL")


def test_collections_as_json(ragq: Run, filled: Desk) -> None:
    assert [c["name"] for c in json.loads(ragq("collections", "--json").stdout)] == ["docs", "空"]


def test_fsck_tells_of_the_reindex_that_runs_and_calls_it_no_fault(ragq: Run, desk: Desk) -> None:
    desk.index_side.checked = Checked([], 1, 4, 40, 40, [Remaking("docs", "minilm", "j7", 40, 30, 20)])
    result = ragq("fsck", "--probe")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "docs: being re-indexed by minilm: 30 of 40 contents embedded, 20 in the store; job j7",
        "1 collection, 4 documents, 40 chunks, 40 vectors looked for: everything agrees",
    ]


def test_fsck_names_faults_with_what_to_do_and_fails(ragq: Run, desk: Desk) -> None:
    fault = Finding("docs", "wrong_vectors", 7, "vectors in the store are not those on record", "mend it", ["a", "b"])
    desk.index_side.checked = Checked([fault, replace(fault, fix="", is_mended=True)], 1)
    result = ragq("fsck", "--probe")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[:4] == [
        "docs: vectors in the store are not those on record (7)",
        "    a, b …",
        "    mend it",
        "docs: vectors in the store are not those on record (7), mended",
    ]
    assert result.stdout.splitlines()[-1].endswith("1 of 2 faults left")


def test_no_collections_says_what_to_do_beside_the_data(ragq: Run) -> None:
    result = ragq("collections")
    assert result.stdout == ""
    assert "ragq add" in result.stderr


def test_a_collection_is_made_and_deleted(ragq: Run, desk: Desk) -> None:
    assert ragq("collections", "create", "new", "--title", "New one").stdout == "new\n"
    assert desk.index_side.names["new"].title == "New one"
    assert ragq("collections", "delete", "new", "--yes").exit_code == 0
    assert "new" not in desk.index_side.names


def test_deleting_asks_first(ragq: Run, filled: Desk) -> None:
    assert ragq("collections", "delete", "docs", stdin="n\n").exit_code == 1
    assert "docs" in filled.index_side.names


def test_deleting_what_is_not_there_is_an_error(ragq: Run) -> None:
    assert isinstance(ragq("collections", "delete", "none", "--yes").exception, NotFound)


def test_documents_show_reason_and_fix(ragq: Run, filled: Desk) -> None:
    result = ragq("documents", "-c", "docs", "--failed")
    assert "bad.bin" in result.stdout
    assert "not a text — convert it" in result.stdout
    assert "a.txt" not in result.stdout
    assert "1-1 of 1" in result.stderr


def test_documents_without_a_collection_is_a_usage_error(ragq: Run) -> None:
    assert ragq("documents").exit_code == 2


def test_a_document_is_deleted(ragq: Run, filled: Desk) -> None:
    first = filled.index.documents("docs").documents[0]
    assert ragq("documents", "delete", first.id, "--yes").exit_code == 0
    assert filled.index.documents("docs").total == 1


def test_every_failed_document_is_retried(ragq: Run, filled: Desk) -> None:
    result = ragq("documents", "retry", "-c", "docs")
    assert result.exit_code == 0, result.output
    assert "1 of 1 documents are ready now" in result.stdout
    assert "nothing failed" in ragq("documents", "retry", "-c", "docs").stderr


def test_retry_wants_ids_or_a_collection(ragq: Run) -> None:
    assert ragq("documents", "retry").exit_code == 2


def test_status_shows_services_and_those_that_are_off(ragq: Run) -> None:
    result = ragq("status")
    assert result.exit_code == 0
    rows = {line.split()[0]: line.split() for line in result.stdout.splitlines()}
    assert rows["llm"][:5] == ["llm", "ready", "11", "01:01", "1"]
    assert "38 ms" in " ".join(rows["index"])
    assert rows["tuning"][1] == "off"


def test_status_of_a_mesh_that_is_down_exits_with_1(ragq: Run, desk: Desk) -> None:
    desk.down.add("llm")
    result = ragq("status", "--json")
    assert result.exit_code == 1
    assert "'ragq up' starts the mesh" in result.stderr
    found = json.loads(result.stdout)
    assert not found["ready"]
    assert [s["state"] for s in found["services"]] == ["down", "ready"]
    assert found["disabled"] == ["tuning"]


def test_wide_characters_count_as_two() -> None:
    assert show.aligned([["名", "x"], ["ab", "y"], ["abcd", "z"]]) == ["名    x", "ab    y", "abcd  z"]


def test_markup_in_a_name_is_shown_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    show.table(("NAME",), [("[red]x[/red]",)])
    assert "[red]x[/red]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("num_bytes", "words"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 KB"), (2_500_000_000, "2.5 GB")]
)
def test_sizes_for_people(num_bytes: int, words: str) -> None:
    assert show.size(num_bytes) == words


@pytest.mark.parametrize(("seconds", "words"), [(0.44, "0.4 s"), (131, "02:11"), (3909, "1:05:09")])
def test_durations_for_people(seconds: float, words: str) -> None:
    assert show.duration(seconds) == words


def test_into_a_file_progress_is_a_line_every_few_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    meter = PlainMeter("bytes", clock=lambda: now)
    for second in range(12):
        now = float(second)
        meter.report("3/9 storing a.md", second * 100, 1200)
    assert (
        capsys.readouterr().err == " 42%  500 B of 1.2 KB  3/9 storing a.md\n 83%  1.0 KB of 1.2 KB  3/9 storing a.md\n"
    )
