"""Does every document end in a known state, whatever fails on its way?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clients import index as contract
from clients.errors import BackendError, BadRequest, Busy, Forbidden, ModelNotLoaded, NotFound, Unreachable
from clients.index import Chunking, Text
from clients.llm import Embeddings
from services.index import embedding as patience
from services.index.catalog import Shelf
from services.index.documents import Work
from services.index.publishing import Publisher
from tests.data import make_documents as make

from .conftest import Desk, InProcess

pytestmark = pytest.mark.process


def embeds(method: Any) -> bool:
    return bool(method.name == "llm.embed")


def test_a_failing_model_fails_the_document_and_a_retry_mends_it(desk: Desk, mesh: InProcess) -> None:
    def broken(method: Any, _request: Any) -> None:
        if embeds(method):
            raise ModelNotLoaded("no embedding model", help="ragq models pull embedded")

    mesh.before = broken
    job = desk.add_and_wait("some text", "another text")
    assert (job.status, job.num_failed, job.num_done) == ("failed", 2, 0)
    assert (job.failures[0].reason, job.failures[0].fix) == ("no embedding model", "ragq models pull embedded")
    document = desk.documents(status="failed").documents[0]
    assert document.num_chunks == 0
    mesh.before = lambda method, request: None
    assert desk.wait(desk.call(contract.RETRY_DOCUMENT, contract.DocumentId(document.id))).status == "succeeded"
    assert desk.search(document.name, "keyword").hits
    with pytest.raises(BadRequest, match="is ready"):
        desk.call(contract.RETRY_DOCUMENT, contract.DocumentId(document.id))


def test_only_the_guilty_document_of_a_batch_fails(desk: Desk, mesh: InProcess) -> None:
    def poisoned(method: Any, request: Any) -> None:
        if embeds(method) and any("poison" in text for text in request.texts):
            raise BackendError("the model runtime failed")

    mesh.before = poisoned
    job = desk.add_and_wait("first text", "poison text", "third text")
    assert (job.status, job.num_done, job.num_failed) == ("succeeded", 2, 1)
    assert [d.name for d in job.failures] == ["poison text"]


def test_an_llm_service_that_is_away_is_waited_for(
    desk: Desk, mesh: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "FIRST_DELAY_S", 0.01)
    is_back = False

    def away(method: Any, _request: Any) -> None:
        if embeds(method) and not is_back:
            raise Busy("the queue is full")

    mesh.before = away
    job = desk.add("some text")
    desk.until(lambda: "waiting for the LLM service: the queue is full" in desk.job(job.id).stage)
    assert desk.job(job.id).status == "running"
    assert desk.documents().documents[0].status == "embedding"
    is_back = True
    assert desk.wait(job).status == "succeeded"


def test_a_job_that_waits_can_be_cancelled(desk: Desk, mesh: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_DELAY_S", 0.01)

    def away(method: Any, _request: Any) -> None:
        if embeds(method):
            raise Unreachable("nobody answers")

    mesh.before = away
    job = desk.add("some text", "more text")
    desk.until(lambda: "waiting" in desk.job(job.id).stage and desk.job(job.id).status == "running")
    cancelled = desk.call(contract.CANCEL_JOB, contract.JobId(job.id))
    assert cancelled.status == "cancelled"
    assert {d.status for d in desk.documents().documents} == {"cancelled"}
    mesh.before = lambda method, request: None
    assert desk.add_and_wait("some text").num_done == 1


def test_documents_that_two_jobs_want_survive_the_cancelling_of_one(
    desk: Desk, mesh: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "FIRST_DELAY_S", 0.01)
    is_back = False

    def away(method: Any, _request: Any) -> None:
        if embeds(method) and not is_back:
            raise Unreachable("nobody answers")

    mesh.before = away
    first, second = desk.add("shared text"), desk.add("shared text")
    assert (second.unchanged, second.num_documents) == (0, 1)
    desk.call(contract.CANCEL_JOB, contract.JobId(first.id))
    is_back = True
    assert desk.wait(second).num_done == 1
    assert desk.documents().documents[0].status == "ready"


def test_a_small_job_does_not_wait_for_a_large_one(desk: Desk, mesh: InProcess) -> None:
    large = desk.add(*(f"text number {i} about something or other" for i in range(800)))
    small = desk.add_and_wait("a late and small text")
    assert small.status == "succeeded"
    assert desk.job(large.id).status == "running"
    assert desk.wait(large, 60).num_done == 800


def test_progress_grows_inside_a_large_document(desk: Desk, mesh: InProcess) -> None:
    seen: set[int] = set()
    mesh.before = lambda method, request: (
        seen.update(j.bytes_done for j in desk.call(contract.JOBS).jobs) if embeds(method) else None
    )
    job = desk.add_and_wait(Text("book", "A sentence of the book. " * 4000), chunking=Chunking(128, 0))
    assert len(seen) > 3
    assert max(seen) < job.bytes_total == job.bytes_done


def test_deleting_a_collection_ends_its_jobs(desk: Desk, mesh: InProcess) -> None:
    job = desk.add(*(f"text number {i}" for i in range(500)))
    desk.call(contract.DELETE_COLLECTION, contract.CollectionName("papers"))
    assert desk.wait(job).status == "cancelled"
    left = (
        desk.service._parts.database.read().execute("SELECT count(*) FROM job_items WHERE outcome = ''").fetchone()[0]
    )
    assert left == 0
    assert desk.add_and_wait("anew").num_done == 1
    assert len(desk.search("text number anew", "keyword").hits) == 1


def test_vectors_that_are_not_numbers_are_refused(desk: Desk, mesh: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    def nan(request: Any, call: Any) -> Embeddings:
        return Embeddings(np.full((len(request.texts), 4), np.nan, np.float32), "toy")

    monkeypatch.setitem(mesh._handlers, "llm.embed", nan)
    job = desk.add_and_wait("some text")
    assert "not numbers" in job.failures[0].reason


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.txt", b"", "the file is empty"),
        ("blank.txt", b" \n\n ", "the file is empty"),
        ("picture.txt", make.png(), "an image (PNG)"),
        ("scan.pdf", make.image_pdf(), "are images"),
        ("locked.pdf", make.locked_pdf(), "password"),
        ("damaged.pdf", b"%PDF-1.7 nothing", "damaged"),
        ("bomb.docx", make.bomb_docx(), "would unpack to 300 MB"),
        ("noise.bin", bytes(range(256)) * 40, "not text and of no known type"),
        ("page.html", b"<html><body><script>x</script></body></html>", "no text in it"),
    ],
)
def test_what_cannot_be_read_fails_with_reason_and_fix(desk: Desk, name: str, content: bytes, reason: str) -> None:
    job = desk.upload(name, content)
    assert (job.status, job.num_failed) == ("failed", 1)
    assert reason in job.failures[0].reason
    assert job.failures[0].fix
    assert desk.documents().documents[0].status == "failed"


@pytest.mark.parametrize(
    ("name", "content", "query"),
    [
        ("paper.txt", make.pdf("A paper about whales", "and whales again"), "whales"),
        ("notes.pdf", b"plain notes about whales", "whales"),
        ("browser.pdf", make.radical_pdf(), "使用方法"),
        ("report.docx", make.docx(), "harvest"),
        ("page", make.PAGE, "知识库"),
        ("old.txt", "检索增强生成的方法，是从知识库中找出答案。".encode("gbk"), "知识"),
        ("wide.txt", "notes about 知识".encode("utf-16"), "知识"),
        ("table.csv", b"name,size\nwhale,30\n", "whale"),
        ("code.py", b"def whale():\n    return 30\n", "whale"),
    ],
)
def test_every_kind_of_file_is_read(desk: Desk, name: str, content: bytes, query: str) -> None:
    job = desk.upload(name, content)
    assert job.status == "succeeded", job
    assert desk.search(query, "keyword").hits[0].document == name


def test_the_page_of_a_pdf_is_told(desk: Desk) -> None:
    desk.upload("paper.pdf", make.pdf("The first page is about cats.", "The second one is about dogs."))
    assert desk.search("dogs", "keyword").hits[0].page in (1, 2)
    assert desk.documents().documents[0].language == "en"


def test_files_of_the_services_disk(open_desk: Callable[..., Desk], tmp_path: Path) -> None:
    root, outside = tmp_path / "library", tmp_path / "secret.txt"
    (root / "sub").mkdir(parents=True)
    outside.write_text("a secret text")
    (root / "a.txt").write_text("whales swim in the sea")
    (root / "sub" / "b.md").write_text("# Bees\n\nThey make honey")
    (root / ".hidden.txt").write_text("hidden text")
    (root / "film.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(500))
    (root / "out.txt").symlink_to(outside)
    desk = open_desk(roots=[str(root)])
    job = desk.wait(desk.call(contract.ADD_PATHS, contract.AddPaths("papers", [str(root)])))
    assert (job.num_done, job.num_failed) == (2, 1)
    assert [(d.name, "sound or video" in d.reason) for d in job.failures] == [("film.mp4", True)]
    assert sorted(d.name for d in desk.documents().documents) == ["a.txt", "sub/b.md"]
    assert desk.call(contract.ADD_PATHS, contract.AddPaths("papers", [str(root / "a.txt")])).num_documents == 1
    for path in (outside, root / "out.txt", root / ".." / "secret.txt"):
        with pytest.raises(Forbidden, match="not below"):
            desk.call(contract.ADD_PATHS, contract.AddPaths("papers", [str(path)]))
    with pytest.raises(NotFound):
        desk.call(contract.ADD_PATHS, contract.AddPaths("papers", [str(root / "none")]))


def test_two_equal_files_of_one_job_are_one_document(open_desk: Callable[..., Desk], tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("whales swim in the sea")
    desk = open_desk(roots=[str(tmp_path)])
    job = desk.wait(
        desk.call(contract.ADD_PATHS, contract.AddPaths("papers", [str(tmp_path / n) for n in ("a.txt", "b.txt")]))
    )
    assert (job.status, job.num_done, job.unchanged) == ("succeeded", 1, 1)


def test_without_roots_paths_are_closed(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(Forbidden) as refused:
        desk.call(contract.ADD_PATHS, contract.AddPaths("papers", [str(tmp_path)]))
    assert "index.roots" in refused.value.help


def test_a_file_above_the_limit_is_refused_by_name(open_desk: Callable[..., Desk], tmp_path: Path) -> None:
    (tmp_path / "big.txt").write_bytes(b"word " * 300_000)
    desk = open_desk(roots=[str(tmp_path)], max_file_mb=1)
    job = desk.wait(desk.call(contract.ADD_PATHS, contract.AddPaths("papers", [str(tmp_path / "big.txt")])))
    assert "the limit is 1 MB" in job.failures[0].reason
    assert "max_file_mb" in job.failures[0].fix


def test_a_long_pdf_is_refused_by_the_limit(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(max_pages=2)
    job = desk.upload("long.pdf", make.pdf("page one here", "page two here", "page three here"))
    assert "3 pages; the limit is 2" in job.failures[0].reason


def test_hundreds_of_small_files_reach_the_stores_in_a_few_commits(
    open_desk: Callable[..., Desk], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(300):
        (folder / f"{number}.txt").write_text(f"text number {number}", encoding="utf-8")
    publish, groups = Publisher.publish, []

    def noted(self: Publisher, shelf: Shelf, documents: Sequence[Work]) -> list[str]:
        groups.append(len(documents))
        return publish(self, shelf, documents)

    monkeypatch.setattr(Publisher, "publish", noted)
    desk = open_desk(roots=(str(folder),))
    job = desk.call(contract.ADD_PATHS, contract.AddPaths("papers", [str(folder)]))
    assert desk.wait(job).num_done == 300
    assert sum(groups) == 300
    assert max(groups) > 32
