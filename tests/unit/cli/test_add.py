"""Adding documents from the command line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from clients.errors import BadRequest, ConfigError, NotFound
from clients.index import Chunking, Job, JobRecord
from tests.unit.cli.desk import Desk
from ui.cli.sources import collect

Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "notes"
    (root / "deep").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / "one.md").write_text("first note")
    (root / "deep" / "two.txt").write_text("second note")
    (root / ".hidden").write_text("secret")
    (root / ".git" / "config").write_text("secret")
    return root


def test_a_folder_is_added_to_the_bottom_without_its_hidden_files(ragq: Run, desk: Desk, folder: Path) -> None:
    result = ragq("add", folder, "-c", "notes")
    assert result.exit_code == 0, result.output
    assert [u.name for u in desk.index_side.requests[0].uploads] == ["one.md", "deep/two.txt"]
    assert "notes: 2 added of 2 documents" in result.stdout


def test_adding_twice_says_unchanged(ragq: Run, folder: Path) -> None:
    ragq("add", folder, "-c", "notes")
    (folder / "three.txt").write_text("third note")
    assert "notes: 1 added, 2 unchanged of 3 documents" in ragq("add", folder, "-c", "notes").stdout


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_cannot_be_read_is_left_out_and_told(ragq: Run, desk: Desk, folder: Path) -> None:
    os.mkfifo(folder / "pipe.txt")
    (folder / "gone.txt").symlink_to(folder / "nowhere")
    result = ragq("add", folder, "-c", "notes")
    assert result.exit_code == 1
    assert [u.name for u in desk.index_side.requests[0].uploads] == ["one.md", "deep/two.txt"]
    assert f"left out: {folder / 'pipe.txt'}: not a regular file" in result.stderr
    assert f"left out: {folder / 'gone.txt'}: No such file or directory" in result.stderr


def test_nothing_but_a_broken_link_says_why(tmp_path: Path) -> None:
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere")
    with pytest.raises(BadRequest, match=r"gone\.txt: No such file"):
        collect([str(tmp_path)])


def test_include_leaves_other_files_of_a_folder_out(ragq: Run, desk: Desk, folder: Path) -> None:
    ragq("add", folder, "-c", "notes", "--include", "*.txt")
    assert [u.name for u in desk.index_side.requests[0].uploads] == ["deep/two.txt"]


def test_two_files_of_one_name_are_both_added(ragq: Run, desk: Desk, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "one.md"
    other.write_text("another note")
    ragq("add", folder / "one.md", other, "-c", "notes")
    assert [u.name for u in desk.index_side.requests[0].uploads] == ["one.md", other.as_posix()]


def test_failures_are_listed_with_reason_and_fix_and_the_exit_code_is_1(ragq: Run, tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("good")
    (tmp_path / "bad.bin").write_bytes(b"\0\0")
    result = ragq("add", tmp_path, "-c", "c")
    assert result.exit_code == 1
    assert "failed: bad.bin: not a text\n        convert it" in result.stderr
    assert "1 added, 1 failed of 2" in result.stdout


def test_standard_input_is_one_document(ragq: Run, desk: Desk) -> None:
    result = ragq("add", "-", "-c", "c", "--name", "poem.txt", "--by-line", stdin="roses\nviolets\n")
    assert result.exit_code == 0, result.output
    request = desk.index_side.requests[0]
    assert [u.name for u in request.uploads] == ["poem.txt"]
    assert request.chunking.by_line


def test_whole_paragraphs_can_be_asked_for(ragq: Run, desk: Desk) -> None:
    assert ragq("add", "-", "-c", "c", "--strategy", "paragraphs", stdin="roses\n").exit_code == 0
    assert desk.index_side.requests[0].chunking.strategy == "paragraphs"


def test_empty_standard_input_is_refused(ragq: Run) -> None:
    assert isinstance(ragq("add", "-", "-c", "c", stdin=" \n").exception, BadRequest)


def test_chunk_size_shrinks_an_overlap_that_nobody_chose(ragq: Run, desk: Desk, folder: Path) -> None:
    ragq("add", folder, "-c", "notes", "--chunk-size", "100")
    assert desk.index_side.requests[0].chunking == Chunking(100, 12)


def test_an_overlap_that_is_not_smaller_is_refused(ragq: Run, folder: Path) -> None:
    failure = ragq("add", folder, "-c", "notes", "--chunk-size", "100", "--overlap", "100").exception
    assert isinstance(failure, ConfigError)
    assert "--overlap 100" in failure.message


@pytest.mark.parametrize("arguments", [("-c", "c"), ("x.txt",), ("-", "x.txt", "-c", "c")])
def test_incomplete_arguments_are_a_usage_error(ragq: Run, arguments: tuple[str, ...]) -> None:
    assert ragq("add", *arguments).exit_code == 2


def test_a_missing_path_is_named(ragq: Run) -> None:
    failure = ragq("add", "nowhere.txt", "-c", "c").exception
    assert isinstance(failure, NotFound)
    assert "nowhere.txt" in failure.message


def test_json_is_one_document_and_nothing_else(ragq: Run, folder: Path) -> None:
    result = ragq("add", folder, "-c", "notes", "--json")
    summary = json.loads(result.stdout)
    assert (summary["collection"], summary["num_documents"], summary["failures"]) == ("notes", 2, [])


def test_no_wait_prints_the_job_and_follow_finds_it(ragq: Run, folder: Path) -> None:
    job = ragq("add", folder, "-c", "notes", "--no-wait").stdout.strip()
    assert "notes: 2 added" in ragq("add", "--follow", job).stdout


def test_ctrl_c_leaves_the_job_and_says_how_to_follow_it(
    ragq: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Job) -> JobRecord:
        raise KeyboardInterrupt

    monkeypatch.setattr(Job, "refresh", interrupted)
    monkeypatch.setattr(
        "tests.unit.cli.desk_services.IndexSide._add", lambda *_: JobRecord("j9", "notes", "running", 2)
    )
    result = ragq("add", folder, "-c", "notes")
    assert result.exit_code == 130
    assert "ragq add --follow j9" in result.stderr


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (JobRecord("j", "notes", "succeeded", 2, 2, num_chunks=20, model="e5", kind="reindex", elapsed_s=3.0),
         "notes: re-indexed, 20 chunks by e5, 3.0 s"),
        (JobRecord("j", "notes", "succeeded", 2, 2, num_chunks=9, kind="import", elapsed_s=3.0),
         "notes: 2 imported of 2 documents, 9 chunks, 3.0 s"),
        (JobRecord("j", "notes", "succeeded", 1, 1, unchanged=1, num_chunks=9, kind="web", elapsed_s=3.0),
         "notes: 1 fetched, 1 unchanged of 2 pages, 9 chunks, 3.0 s"),
        (JobRecord("j", "notes", "succeeded", 3, 3, num_chunks=9, kind="watch", elapsed_s=3.0),
         "notes: 3 taken over of 3 files, 9 chunks, 3.0 s"),
        (JobRecord("j", "notes", "succeeded", 1, 1, num_chunks=9, kind="retry", elapsed_s=3.0),
         "notes: 1 ready now of 1 failed document, 9 chunks, 3.0 s"),
    ],
)  # fmt: skip
def test_following_a_job_says_what_it_was_for(ragq: Run, desk: Desk, record: JobRecord, line: str) -> None:
    desk.index_side.job_records["j"] = record
    assert ragq("add", "--follow", "j").stdout.strip() == line


def test_a_reindex_that_was_cancelled_is_not_called_done(ragq: Run, desk: Desk) -> None:
    desk.index_side.job_records["j"] = JobRecord(
        "j", "notes", "cancelled", 2, model="e5", kind="reindex", reason="cancelled by a caller"
    )
    result = ragq("add", "--follow", "j")
    assert result.exit_code == 1
    assert result.stderr == "failed: cancelled by a caller\n"
    assert result.stdout.startswith("notes: not re-indexed by e5, ")


def test_jobs_of_two_kinds_have_a_line_each(ragq: Run, desk: Desk) -> None:
    desk.index_side.job_records["a"] = JobRecord("a", "notes", "succeeded", 2, 2, num_chunks=4, elapsed_s=3.0)
    desk.index_side.job_records["b"] = JobRecord("b", "docs", "succeeded", 1, 1, num_chunks=1, kind="web")
    lines = ragq("add", "--follow", "a", "--follow", "b").stdout.splitlines()
    assert [line.split(",")[0] for line in lines] == ["docs: 1 fetched of 1 page", "notes: 2 added of 2 documents"]


def test_a_cancelled_job_is_not_a_success(ragq: Run, desk: Desk) -> None:
    desk.index_side.job_records["j1"] = JobRecord("j1", "notes", "cancelled", 3, 1)
    result = ragq("add", "--follow", "j1")
    assert result.exit_code == 1
    assert "job j1 was cancelled" in result.stderr


def test_files_are_read_when_their_turn_comes(folder: Path) -> None:
    files = collect([str(folder)])
    (folder / "one.md").write_text("changed later")
    assert files["one.md"] == b"changed later"
    assert files.num_bytes == len("changed later") + len("second note")
    assert [len(part) for part in files.parts(1)] == [1, 1]


def test_addresses_among_the_paths_are_fetched_by_the_service(ragq: Run, desk: Desk, folder: Path) -> None:
    result = ragq("add", folder / "one.md", "https://example.org/a", "HTTP://example.org/b", "-c", "notes")
    assert result.exit_code == 0, result.output
    pages, files = desk.index_side.requests
    assert pages.urls == ["https://example.org/a", "HTTP://example.org/b"]
    assert [upload.name for upload in files.uploads] == ["one.md"]
    assert "3 added of 3 documents" in result.stdout


def test_what_a_web_search_finds_is_listed_and_added_when_somebody_agrees(ragq: Run, desk: Desk) -> None:
    refused = ragq("add", "--web-search", "ships", "--results", "2", "-c", "notes")
    assert isinstance(refused.exception, BadRequest)
    assert "--yes adds what was found" in refused.exception.help
    assert desk.index_side.requests == []
    result = ragq("add", "--web-search", "ships", "--results", "2", "--yes", "-c", "notes")
    assert result.exit_code == 0, result.output
    assert "1. Page 0" in result.stderr
    assert desk.index_side.requests[0].urls == ["https://example.org/0", "https://example.org/1"]
    nothing = ragq("add", "--web-search", "nothing", "--yes", "-c", "notes")
    assert "found nothing" in str(nothing.exception)


def test_standard_input_and_pages_do_not_mix(ragq: Run, desk: Desk) -> None:
    assert ragq("add", "-", "https://example.org/a", "-c", "notes", stdin="text").exit_code == 2
    assert desk.index_side.requests == []
