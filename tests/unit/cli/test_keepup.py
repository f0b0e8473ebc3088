"""Does ragq add --watch send what is new or changed, when it has stopped growing, and replace only its own?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import Result

from clients.errors import Unreachable
from clients.index import Chunking
from tests.unit.cli.desk import Desk
from ui.cli.keepup import KeepUp


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text("first words")
    return tmp_path


@pytest.fixture
def keeper(desk: Desk, folder: Path) -> KeepUp:
    return KeepUp(desk, "notes", [str(folder)], (), Chunking())


def names(desk: Desk) -> list[str]:
    return sorted(document.name for document in desk.index.documents("notes").documents)


def test_a_file_is_sent_at_the_second_look_and_never_again(keeper: KeepUp, desk: Desk) -> None:
    assert [keeper.look() for _ in range(4)] == [0, 1, 0, 0]
    assert names(desk) == ["a.txt"]


def test_a_file_that_grows_is_sent_when_it_has_stopped(keeper: KeepUp, folder: Path) -> None:
    sent = []
    for number in range(3):
        (folder / "a.txt").write_text("word " * (number + 1))
        sent.append(keeper.look())
    assert [*sent, keeper.look()] == [0, 0, 0, 1]


def test_a_newer_version_takes_the_place_of_what_was_sent(keeper: KeepUp, desk: Desk, folder: Path) -> None:
    keeper.look()
    keeper.look()
    (first,) = desk.index.documents("notes").documents
    (folder / "a.txt").write_text("other words, more of them")
    (folder / "b.txt").write_text("a new file")
    assert [keeper.look(), keeper.look()] == [0, 2]
    assert names(desk) == ["a.txt", "b.txt"]
    assert first.id not in {document.id for document in desk.index.documents("notes").documents}


def test_what_was_there_before_stays(keeper: KeepUp, desk: Desk, folder: Path) -> None:
    desk.index.add("notes", files={"a.txt": b"somebody else's words"}).wait()
    keeper.look()
    keeper.look()
    assert names(desk) == ["a.txt", "a.txt"]


def test_an_empty_folder_is_waited_for(keeper: KeepUp, desk: Desk, folder: Path) -> None:
    (folder / "a.txt").unlink()
    assert keeper.look() == 0
    (folder / "a.txt").write_text("now it is there")
    assert [keeper.look(), keeper.look()] == [0, 1]


def test_a_mesh_that_is_away_is_tried_again(
    keeper: KeepUp, desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rests: list[float] = []

    def wait(seconds: float) -> None:
        rests.append(seconds)
        if len(rests) == 2:
            monkeypatch.undo()
        if len(rests) == 4:
            raise KeyboardInterrupt

    def away(*_: object, **__: object) -> None:
        raise Unreachable("nobody answers")

    monkeypatch.setattr(desk.index, "add", away)
    with pytest.raises(KeyboardInterrupt):
        keeper.run(wait)
    assert "not sent: nobody answers" in capsys.readouterr().err
    assert names(desk) == ["a.txt"]


def test_watching_standard_input_or_the_web_is_refused(ragq: Callable[..., Result]) -> None:
    for arguments in (("-", "-c", "c"), ("https://example.org/", "-c", "c"), ("x.txt",)):
        result = ragq("add", *arguments, "--watch")
        assert result.exit_code == click.UsageError.exit_code
        assert "--watch goes with files" in result.stderr
