"""Is a directory followed: what is new, changed and gone, when it has settled, once, and over restarts?"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from clients import index as contract
from clients import watching
from clients.errors import Forbidden, NotFound
from clients.index import Chunking
from clients.watching import Watch, WatchFolder, WatchId
from services.index import schema
from services.index.migrations import FOLLOWED, MIGRATIONS
from services.index.schema import Database

EVERY_S = 0.05


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "shared"
    made.mkdir()
    return made


@pytest.fixture
def desk(open_desk: Callable[..., Any], tmp_path: Path) -> Any:
    return open_desk(roots=[str(tmp_path / "shared")], watch_s=EVERY_S)


def follow(desk: Any, folder: Path, *, removes: bool = False) -> Watch:
    found = desk.call(watching.WATCH, WatchFolder("papers", str(folder), removes, Chunking()))
    assert isinstance(found, Watch)
    return found


def watch_of(desk: Any) -> Watch:
    (found,) = desk.call(watching.WATCHES).watches
    assert isinstance(found, Watch)
    return found


def ready(desk: Any) -> dict[str, str]:
    """Names and first texts of the documents that are ready."""
    found: dict[str, str] = {}
    for document in desk.documents(status="ready").documents:
        with suppress(NotFound):  # a former version that went since
            chunks = desk.call(contract.CHUNKS, contract.ListChunks(document.id)).chunks
            found.update((document.name, chunk.text) for chunk in chunks[:1])
    return found


def test_what_is_there_new_and_changed_is_taken_over(desk: Any, folder: Path) -> None:
    (folder / "below").mkdir()
    (folder / "below" / "old.txt").write_text("The harbour is old.")
    follow(desk, folder)
    desk.until(lambda: ready(desk) == {"below/old.txt": "The harbour is old."})
    (folder / "new.txt").write_text("The lighthouse is new.")
    desk.until(lambda: len(ready(desk)) == 2)
    (folder / "new.txt").write_text("The lighthouse was painted red.")
    changed = {"below/old.txt": "The harbour is old.", "new.txt": "The lighthouse was painted red."}
    desk.until(lambda: ready(desk) == changed)
    assert [hit.text for hit in desk.search("lighthouse", "keyword").hits] == ["The lighthouse was painted red."]
    assert watch_of(desk).num_files == 2


def test_a_file_that_grows_is_taken_when_it_has_stopped(open_desk: Callable[..., Any], folder: Path) -> None:
    desk = open_desk(roots=[str(folder)], watch_s=1.0)
    (folder / "log.txt").write_text("line 0\n")
    follow(desk, folder)
    for number in range(1, 15):
        with (folder / "log.txt").open("a") as file:
            file.write(f"line {number}\n")
        time.sleep(0.1)
    assert desk.documents().total == 0
    desk.until(lambda: len(ready(desk)) == 1)
    assert "line 14" in ready(desk)["log.txt"]
    assert len(desk.call(contract.JOBS).jobs) == 1


@pytest.mark.parametrize("removes", [True, False])
def test_a_deleted_file_takes_its_document_along_where_that_is_wanted(desk: Any, folder: Path, removes: bool) -> None:
    (folder / "stays.txt").write_text("This one stays.")
    (folder / "goes.txt").write_text("This one goes.")
    follow(desk, folder, removes=removes)
    desk.until(lambda: len(ready(desk)) == 2)
    (folder / "goes.txt").unlink()
    desk.until(lambda: watch_of(desk).num_files == 1)
    assert set(ready(desk)) == ({"stays.txt"} if removes else {"stays.txt", "goes.txt"})


def test_a_directory_that_is_empty_or_gone_takes_nothing_along(desk: Any, folder: Path) -> None:
    (folder / "a.txt").write_text("The only one.")
    follow(desk, folder, removes=True)
    desk.until(lambda: len(ready(desk)) == 1)
    (folder / "a.txt").unlink()
    desk.until(lambda: "there are no files" in watch_of(desk).reason)
    folder.rmdir()
    desk.until(lambda: "there is no file" in watch_of(desk).reason)
    assert len(ready(desk)) == 1


def test_what_a_person_added_stays_when_the_file_changes_or_goes(desk: Any, folder: Path) -> None:
    desk.upload("mine.txt", b"Given by hand, and lying there too.")
    (folder / "same.txt").write_text("Given by hand, and lying there too.")
    (folder / "other.txt").write_text("Something else.")
    follow(desk, folder, removes=True)
    desk.until(lambda: watch_of(desk).num_files == 2)
    (folder / "same.txt").write_text("Now it says something of its own.")
    desk.until(lambda: "same.txt" in ready(desk))
    (folder / "same.txt").unlink()
    desk.until(lambda: "same.txt" not in ready(desk))
    assert set(ready(desk)) == {"mine.txt", "other.txt"}


def test_a_restart_goes_on_where_it_was(open_desk: Callable[..., Any], folder: Path) -> None:
    settings: dict[str, Any] = {"roots": [str(folder)], "watch_s": EVERY_S}
    desk = open_desk(**settings)
    (folder / "a.txt").write_text("The first version.")
    (folder / "b.txt").write_text("It does not change.")
    follow(desk, folder, removes=True)
    desk.until(lambda: len(ready(desk)) == 2)
    desk.close()
    (folder / "a.txt").write_text("The second version, which is longer.")
    again = open_desk(**settings)
    wanted = {"a.txt": "The second version, which is longer.", "b.txt": "It does not change."}
    again.until(lambda: ready(again) == wanted)
    assert again.documents().total == 2


def test_a_file_that_cannot_be_read_is_told_once(desk: Any, folder: Path) -> None:
    (folder / "noise.bin").write_bytes(bytes(range(256)) * 40)
    follow(desk, folder)
    desk.until(lambda: any(job.failures for job in desk.call(contract.JOBS).jobs))
    time.sleep(5 * EVERY_S)
    (job,) = desk.call(contract.JOBS).jobs
    assert "not text" in job.failures[0].reason
    (folder / "noise.bin").write_text("Now it is a text.")
    desk.until(lambda: ready(desk) == {"noise.bin": "Now it is a text."})


def test_a_new_version_that_fails_leaves_the_old_one(desk: Any, folder: Path) -> None:
    (folder / "a.pdf").write_text("Readable, although it is no PDF.")
    follow(desk, folder)
    desk.until(lambda: len(ready(desk)) == 1)
    (folder / "a.pdf").write_bytes(b"%PDF-1.7 cut off" + bytes(2000))
    desk.until(lambda: desk.documents(status="failed").total == 1)
    assert desk.search("readable", "keyword").hits
    (folder / "a.pdf").write_text("Readable again.")
    desk.until(lambda: ready(desk) == {"a.pdf": "Readable again."})
    desk.until(lambda: desk.documents().total == 1)


def test_what_is_followed_is_listed_changed_and_forgotten(desk: Any, folder: Path, tmp_path: Path) -> None:
    (folder / "a.txt").write_text("words")
    first = follow(desk, folder)
    assert follow(desk, folder, removes=True).id == first.id
    assert (watch_of(desk).removes, watch_of(desk).path, watch_of(desk).collection) == (True, str(folder), "papers")
    desk.call(watching.UNWATCH, WatchId(first.id))
    assert desk.call(watching.WATCHES).watches == []
    with pytest.raises(NotFound, match="no watch"):
        desk.call(watching.UNWATCH, WatchId(first.id))
    with pytest.raises(Forbidden, match="not below"):
        follow(desk, tmp_path)
    with pytest.raises(NotFound):
        follow(desk, folder / "none")


def test_links_that_lead_out_are_not_followed(desk: Any, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret words")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "a.txt").write_text("open words")
    follow(desk, folder)
    desk.until(lambda: ready(desk) == {"a.txt": "open words"})
    assert watch_of(desk).num_files == 1


def test_records_of_the_former_schema_open_with_everything_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "records.sqlite"
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", MIGRATIONS[: MIGRATIONS.index(FOLLOWED)])
        old = Database(path)
        with old.write() as tx:
            tx.execute("INSERT INTO collections (name, title, created_at) VALUES ('papers', 'Papers', 1.0)")
        old.close()
    database = Database(path)
    assert database.read().execute("SELECT name FROM collections").fetchone()[0] == "papers"
    assert database.read().execute("SELECT count(*) FROM watches").fetchone()[0] == 0
    database.close()
