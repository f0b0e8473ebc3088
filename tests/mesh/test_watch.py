"""``ragq watch`` against a live mesh: a directory is followed until somebody ends it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients.index import IndexClient
from tests.conftest import LiveMesh

from .processes import until

pytestmark = pytest.mark.mesh


@pytest.fixture
def folder(toy_mesh: LiveMesh, index: IndexClient) -> Iterator[Path]:
    """A directory that may be followed; what follows it is ended afterwards."""
    made = toy_mesh.home.parent / "followed" / "notes"
    made.mkdir()
    (made / "wings.txt").write_text("The wing gives lift to the plane.")
    yield made
    for watch in index.watches():
        index.unwatch(watch.id)
    for file in made.iterdir():
        file.unlink()
    made.rmdir()


@pytest.fixture(scope="module")
def index(toy_mesh: LiveMesh) -> IndexClient:
    return toy_mesh.client().index


def names(index: IndexClient, collection: str) -> set[str]:
    return {document.name for document in index.documents(collection, status="ready").documents}


def test_a_directory_is_followed_listed_and_let_go(toy_mesh: LiveMesh, index: IndexClient, folder: Path) -> None:
    made = toy_mesh.run("watch", "add", str(folder), "-c", "watched", "--chunk-size", "100", "--overlap", "10")
    assert made.returncode == 0, made.stderr
    assert f"{folder} is followed into watched" in made.stdout
    until(lambda: names(index, "watched") == {"wings.txt"})
    (folder / "tails.txt").write_text("The tail keeps the plane steady.")
    until(lambda: names(index, "watched") == {"wings.txt", "tails.txt"})
    until(lambda: index.watches()[0].num_waiting == 0)
    (watch,) = json.loads(toy_mesh.run("watch", "list", "--json").stdout)
    header, row = toy_mesh.run("watch", "list").stdout.splitlines()
    assert header.split()[:6] == ["ID", "COLLECTION", "PATH", "FILES", "WAITING", "REMOVES"]
    assert row.split()[:6] == [str(watch["id"]), "watched", str(folder), "2", "0", "no"]
    jobs = [job for job in index.jobs() if job.collection == "watched"]
    followed = toy_mesh.run("add", "--follow", jobs[0].id)
    assert followed.stdout.startswith("watched: 1 taken over of 1 file, 1 chunks")
    ended = toy_mesh.run("watch", "remove", str(watch["id"]))
    assert (ended.returncode, ended.stdout) == (0, f"{watch['id']} is followed no longer\n")
    assert "nothing is followed" in toy_mesh.run("watch", "list").stderr
    assert names(index, "watched") == {"wings.txt", "tails.txt"}, "its documents stay"


def test_the_same_path_again_changes_how_it_is_followed(toy_mesh: LiveMesh, index: IndexClient, folder: Path) -> None:
    first = json.loads(toy_mesh.run("watch", "add", str(folder), "-c", "watched-2", "--json").stdout)
    until(lambda: names(index, "watched-2") == {"wings.txt"})
    again = json.loads(toy_mesh.run("watch", "add", str(folder), "-c", "watched-2", "--remove", "--json").stdout)
    assert (again["id"], first["removes"], again["removes"]) == (first["id"], False, True)
    (folder / "keep.txt").write_text("Something stays, so the disk is there.")
    until(lambda: names(index, "watched-2") == {"wings.txt", "keep.txt"})
    (folder / "wings.txt").unlink()
    until(lambda: names(index, "watched-2") == {"keep.txt"})


def test_why_a_directory_cannot_be_looked_at_is_told(toy_mesh: LiveMesh, index: IndexClient, folder: Path) -> None:
    assert toy_mesh.run("watch", "add", str(folder), "-c", "watched-3").returncode == 0
    hidden = folder.with_name("hidden")
    folder.rename(hidden)
    try:
        until(lambda: bool(index.watches()[0].reason))
        assert f"{folder}: " in toy_mesh.run("watch", "list").stderr
    finally:
        hidden.rename(folder)
    until(lambda: index.watches()[0].reason == "")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("add", "/etc", "-c", "kb"), 1, "index.roots"),
        (("add", "{followed}/nowhere", "-c", "kb"), 1, "nowhere"),
        (("add", "{followed}", "-c", "kb", "--chunk-size", "50", "--overlap", "50"), 2, "overlap"),
        (("add", "{followed}"), 2, "--collection"),
        (("remove", "424242"), 1, "there is no watch 424242"),
    ],
)
def test_what_cannot_be_followed_says_why(
    toy_mesh: LiveMesh, index: IndexClient, arguments: tuple[str, ...], code: int, said: str
) -> None:
    root = str(toy_mesh.home.parent / "followed")
    done = toy_mesh.run("watch", *(argument.replace("{followed}", root) for argument in arguments))
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert index.watches() == []
