"""Does a collection come out of its file as it went in, and nothing of a damaged one?"""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clients import index as contract
from clients.calibration import CALIBRATION, SET_CALIBRATION, Scorers
from clients.config import Web
from clients.editing import EDIT_CHUNK, SWITCH_CHUNKS, EditChunk, SwitchChunks
from clients.errors import AlreadyExists, BadRequest, Cancelled, NotFound, Unreachable
from clients.index import Chunk, Chunking, Text
from clients.reindexing import REINDEX, Reindex
from clients.transfer import EXPORT, IMPORT, Export, Import, Piece
from clients.web import ADD_URLS, AddUrls
from services.service import Call, Signal
from tests.unit.index.conftest import Desk, InProcess
from tests.unit.index.serving import NEW, Serving
from tests.unit.index.site import Visit, running_site
from tests.unit.index.test_calibrations import ONE

TEXT = "Herons wait for fish.\n\nBridges carry trains.\n\n知识库的检索方法。"


@pytest.fixture(params=["memory", "chroma"])
def desk(request: pytest.FixtureRequest, open_desk: Callable[..., Desk]) -> Desk:
    return filled(open_desk(store=request.param))


def filled(desk: Desk) -> Desk:
    desk.add_and_wait(Text("birds.txt", TEXT), chunking=Chunking(30, 0))
    desk.add_and_wait(Text("other.md", "# Lamps\n\nLamps give light."))
    desk.upload("broken.pdf", b"%PDF-1.7 cut off" + bytes(200_000))
    first, second, *_ = chunks(desk, "birds.txt")
    desk.call(EDIT_CHUNK, EditChunk(first.id, "Pelicans wait for fish."))
    desk.call(SWITCH_CHUNKS, SwitchChunks([second.id], is_enabled=False))
    return desk


def chunks(desk: Desk, name: str, collection: str = "papers") -> list[Chunk]:
    (document,) = desk.documents(collection, keyword=name).documents
    found: contract.Chunks = desk.call(contract.CHUNKS, contract.ListChunks(document.id))
    return found.chunks


def said(found: list[Chunk]) -> list[tuple[Any, ...]]:
    return [(c.position, c.text, c.start, c.end, c.heading, c.is_enabled, c.is_edited) for c in found]


def exported(desk: Desk, path: Path, **options: bool) -> Path:
    pieces = handler(desk, EXPORT.name)(Export("papers", **options), a_call())
    with path.open("wb") as file:
        for piece in pieces:
            file.write(piece.data)
    return path


def imported(desk: Desk, path: Path, name: str = "copy", call: Call | None = None) -> contract.JobRecord:
    content = path.read_bytes()
    given = call or a_call()
    given.input = iter([Piece(content[at : at + 50_000]) for at in range(0, len(content), 50_000)])
    record: contract.JobRecord = handler(desk, IMPORT.name)(Import(name), given)
    return desk.wait(record)


def handler(desk: Desk, name: str) -> Callable[..., Any]:
    return next(handler for method, handler in desk.service.handlers().items() if method.name == name)


def a_call() -> Call:
    return Call(time.monotonic() + 60)


def rewritten(path: Path, name: str, change: Callable[[bytes], bytes | None]) -> Path:
    """A copy in which one member is changed, or left out."""
    copy = path.with_name("changed.ragq")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
        for member in old.namelist():
            content = change(old.read(member)) if member == name else old.read(member)
            if content is not None:
                new.writestr(member, content)
    return copy


def test_what_comes_in_is_what_went_out(desk: Desk, tmp_path: Path) -> None:
    before = said(chunks(desk, "birds.txt"))
    record = imported(desk, exported(desk, tmp_path / "papers.ragq"))
    assert (record.status, record.num_failed) == ("succeeded", 1)
    assert said(chunks(desk, "birds.txt", "copy")) == before
    found = {d.name: d.status for d in desk.documents("copy").documents}
    assert found == {"birds.txt": "ready", "other.md": "ready", "broken.pdf": "failed"}
    assert [h.text for h in desk.search("pelicans", "keyword", "copy").hits] == ["Pelicans wait for fish."]
    assert desk.search("bridges", "keyword", "copy").hits == []
    dense = desk.search("lamps light", "dense", "copy", rerank=False).hits
    assert dense[0].text.endswith("Lamps give light.")
    from tests.unit.index.test_checkup import checked

    assert checked(desk, probe=True).findings == []


def test_vectors_are_taken_over_without_the_model_being_asked(desk: Desk, mesh: InProcess, tmp_path: Path) -> None:
    path = rewritten(exported(desk, tmp_path / "papers.ragq"), "originals/none", lambda _: None)
    mesh.calls.clear()
    imported(desk, path)
    assert "llm.embed" not in mesh.calls


def test_another_model_makes_its_own_vectors(desk: Desk, mesh: InProcess, tmp_path: Path) -> None:
    def other(content: bytes) -> bytes:
        return json.dumps(json.loads(content) | {"model": "another"}).encode()

    path = rewritten(exported(desk, tmp_path / "papers.ragq"), "manifest.json", other)
    mesh.calls.clear()
    assert imported(desk, path).status == "succeeded"
    assert "llm.embed" in mesh.calls
    assert desk.search("pelicans fish", "dense", "copy", rerank=False).hits


def test_without_vectors_and_originals_the_chunks_are_there_all_the_same(desk: Desk, tmp_path: Path) -> None:
    small = exported(desk, tmp_path / "small.ragq", with_originals=False, with_vectors=False)
    with zipfile.ZipFile(small) as file:
        assert sorted(file.namelist()) == ["chunks.jsonl", "documents.jsonl", "manifest.json"]
    imported(desk, small)
    assert said(chunks(desk, "birds.txt", "copy")) == said(chunks(desk, "birds.txt"))
    assert desk.search("pelicans fish", "dense", "copy", rerank=False).hits[0].text == "Pelicans wait for fish."


def test_where_pages_came_from_and_what_was_fitted_come_along(open_desk: Callable[..., Any], tmp_path: Path) -> None:
    asked: list[str | None] = []

    def versioned(visit: Visit) -> None:
        asked.append(visit.headers.get("If-None-Match"))
        visit.send(b"" if asked[-1] else b"<p>Herons wait for fish.</p>", status=304 if asked[-1] else 200, ETag='"v1"')

    with running_site() as site:
        desk = open_desk(web=Web(enabled=True, allow=["127.0.0.1"], robots=False, tries=1))
        url = site.act("/birds", versioned)
        desk.wait(desk.call(ADD_URLS, AddUrls("papers", [url])))
        for embedder in ("toy", "another"):
            desk.call(SET_CALIBRATION, replace(ONE, scorers=Scorers(embedder, "toy", "r1")))
        fitted = desk.call(CALIBRATION, contract.CollectionName("papers")).calibrations
        assert imported(desk, exported(desk, tmp_path / "papers.ragq")).status == "succeeded"
        (before,), (after,) = desk.documents().documents, desk.documents("copy").documents
        assert (after.source, after.fetched_at) == (url, before.fetched_at)
        again = desk.wait(desk.call(ADD_URLS, AddUrls("copy", [url])))
        assert (again.unchanged, asked) == (1, [None, '"v1"'])
    there = desk.call(CALIBRATION, contract.CollectionName("copy")).calibrations
    assert there == [replace(each, collection="copy") for each in fitted]


def test_a_calibration_that_is_none_is_refused_as_a_whole(desk: Desk, tmp_path: Path) -> None:
    desk.call(SET_CALIBRATION, ONE)
    path = exported(desk, tmp_path / "papers.ragq")
    for change in (lambda _: b"no json\n", lambda raw: json.dumps(json.loads(raw) | {"t_low": 2.0}).encode()):
        with pytest.raises(BadRequest, match=r"damaged|not in order"):
            imported(desk, rewritten(path, "calibrations.jsonl", change))
    with pytest.raises(NotFound):
        desk.documents("copy")


def test_a_file_of_an_older_version_has_neither(desk: Desk, tmp_path: Path) -> None:
    desk.call(SET_CALIBRATION, ONE)
    older = rewritten(exported(desk, tmp_path / "papers.ragq"), "calibrations.jsonl", lambda _: None)
    assert imported(desk, older).status == "succeeded"
    assert desk.call(CALIBRATION, contract.CollectionName("copy")).calibrations == []


def test_a_collection_that_was_reindexed_comes_out_with_its_present_vectors(tmp_path: Path) -> None:
    serving = Serving(tmp_path)
    try:
        desk = serving.desk("chroma")
        desk.add_and_wait("Herons wait for fish.", "Bridges carry trains.")
        serving.serve(NEW)
        assert desk.wait(desk.call(REINDEX, Reindex("papers"))).status == "succeeded"
        serving.mesh.calls.clear()
        assert imported(desk, exported(desk, tmp_path / "papers.ragq")).status == "succeeded"
        assert "llm.embed" not in serving.mesh.calls, "vectors of the serving model are taken over"
        found = desk.search("Herons wait for fish.", "dense", "copy", rerank=False)
        assert (found.model, round(found.hits[0].score, 3)) == (NEW, 1.0)
    finally:
        serving.close()


def test_it_comes_into_another_home(desk: Desk, mesh: InProcess, tmp_path: Path) -> None:
    path = exported(desk, tmp_path / "papers.ragq")
    before = said(chunks(desk, "birds.txt"))
    desk.close()
    other = Desk(tmp_path / "elsewhere", mesh, contract_index())
    try:
        imported(other, path, "")
        assert said(chunks(other, "birds.txt", "papers")) == before
        again = other.wait(other.add(Text("other.md", "# Lamps\n\nLamps give light."), collection="papers"))
        assert again.unchanged == 1
    finally:
        other.close()


def contract_index() -> Any:
    from clients.config import Index

    return Index(store="memory", sample=False)


DAMAGES: dict[str, tuple[str, Callable[[bytes], bytes | None]]] = {
    "no manifest": ("manifest.json", lambda _: None),
    "a foreign manifest": ("manifest.json", lambda _: b'{"format": "something else"}'),
    "a newer format": ("manifest.json", lambda c: json.dumps(json.loads(c) | {"version": 99}).encode()),
    "a chunk too few": ("chunks.jsonl", lambda c: c[: c.rindex(b"{")]),
    "a chunk too many": ("chunks.jsonl", lambda c: c + c[c.rindex(b"{") :]),
    "half a line": ("chunks.jsonl", lambda c: c[:-20]),
    "a number for a text": ("chunks.jsonl", lambda c: c.replace(b'"text": "Pelicans', b'"text": 3, "x": "')),
    "vectors cut off": ("vectors.f32", lambda c: c[:-4]),
    "vectors that are no numbers": ("vectors.f32", lambda c: b"\xff" * len(c)),
    "no vectors": ("vectors.f32", lambda _: None),
    "no documents": ("documents.jsonl", lambda _: None),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_nothing_of_a_damaged_file_stays(open_desk: Callable[..., Desk], tmp_path: Path, damage: str) -> None:
    desk = filled(open_desk())
    path = rewritten(exported(desk, tmp_path / "papers.ragq"), *DAMAGES[damage])
    with pytest.raises(BadRequest) as caught:
        imported(desk, path)
    assert caught.value.help
    assert [c.name for c in desk.call(contract.COLLECTIONS).collections] == ["papers"]
    from tests.unit.index.test_checkup import checked

    assert checked(desk, probe=True).findings == []


def test_an_original_that_was_exchanged_is_noticed(open_desk: Callable[..., Desk], tmp_path: Path) -> None:
    desk = filled(open_desk())
    path = exported(desk, tmp_path / "papers.ragq")
    with zipfile.ZipFile(path) as file:
        name = next(n for n in file.namelist() if n.startswith("originals/"))
    with pytest.raises(BadRequest, match="not what it was"):
        imported(desk, rewritten(path, name, lambda _: b"something else"))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut off"])
def test_a_file_that_is_no_archive_is_refused(open_desk: Callable[..., Desk], tmp_path: Path, content: bytes) -> None:
    desk = open_desk()
    (tmp_path / "x.ragq").write_bytes(content)
    with pytest.raises(BadRequest, match="damaged"):
        imported(desk, tmp_path / "x.ragq")


def test_names_are_checked(open_desk: Callable[..., Desk], tmp_path: Path) -> None:
    desk = filled(open_desk())
    path = exported(desk, tmp_path / "papers.ragq")
    with pytest.raises(AlreadyExists):
        imported(desk, path, "papers")
    with pytest.raises(BadRequest):
        imported(desk, path, "no/name")
    with pytest.raises(NotFound):
        list(handler(desk, EXPORT.name)(Export("nobody"), a_call()))


def test_a_cancelled_import_leaves_nothing(open_desk: Callable[..., Desk], tmp_path: Path) -> None:
    desk = filled(open_desk())
    left = Signal()
    left.set()
    with pytest.raises(Cancelled):
        imported(desk, exported(desk, tmp_path / "papers.ragq"), call=Call(time.monotonic() + 60, cancelled=left))
    assert [c.name for c in desk.call(contract.COLLECTIONS).collections] == ["papers"]
    assert not list((desk.home / "files").glob("import-*"))


def test_without_an_llm_service_vectors_are_taken_as_they_are(desk: Desk, mesh: InProcess, tmp_path: Path) -> None:
    path = exported(desk, tmp_path / "papers.ragq", with_originals=False)

    def away(*_: object) -> None:
        raise Unreachable("the LLM service is away")

    mesh.before = away
    imported(desk, path)
    assert {d.status for d in desk.documents("copy").documents} == {"ready"}
    mesh.before = lambda *_: None
