"""Every vector store keeps the promises of `services.index.stores.base`."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from clients.errors import BackendError, MissingExtra
from services.index.lock import Locked
from services.index.stores.base import Near, VectorStore
from services.index.stores.chroma import ChromaStore
from services.index.stores.coded import CodedStore
from services.index.stores.exact import ExactStore
from services.index.stores.faiss import FaissStore
from services.index.stores.memory import MemoryStore
from tests.served import Server


class ReadyCodes(CodedStore):
    """Never lets the other store answer what a copy can answer."""

    def query(
        self, collection: str, vectors: np.ndarray, k: int, allowed: Sequence[str] | None = None
    ) -> list[list[Near]]:
        found = super().query(collection, vectors, k, allowed)
        if not self.is_ready(collection) and self.count(collection) >= 2:
            self._left_until.clear()
            super().query(collection, vectors, k, allowed)
            end = time.monotonic() + 20
            while not self.is_ready(collection):
                assert time.monotonic() < end
                time.sleep(0.002)
            found = super().query(collection, vectors, k, allowed)
        return found


MAKERS: dict[str, Callable[[Path], VectorStore]] = {
    "memory": lambda path: MemoryStore(),
    "chroma": ChromaStore,
    "exact": lambda path: ExactStore(ChromaStore(path)),
    "too large for exact": lambda path: ExactStore(ChromaStore(path), max_vectors=100),
    "codes": lambda path: ReadyCodes(ChromaStore(path), min_vectors=2),
    "faiss": FaissStore,
    "exact with little room": lambda path: ExactStore(MemoryStore(), max_bytes=DIMENSION * 4 * 150),
}
SERVED: dict[str, Callable[[VectorStore], VectorStore]] = {
    "server": lambda store: store,
    "exact over a server": ExactStore,
}
DIMENSION = 24
ROOT = Path(__file__).parents[2]
OWNER = """
import sys
from pathlib import Path
from services.index.lock import DirectoryLock
lock = DirectoryLock(Path(sys.argv[1]))
lock.acquire()
print("mine", flush=True)
input()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for all tests, each of which has a database of its own."""
    running = Server(tmp_path_factory.mktemp("server"))
    yield running
    running.close()


@pytest.fixture(params=[*MAKERS, *SERVED])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VectorStore]:
    if request.param in ("faiss", "codes"):
        pytest.importorskip("faiss", reason="pip install 'ragq[faiss]'")
    if request.param in SERVED:
        served = request.getfixturevalue("server").store(f"test-{uuid.uuid4().hex}")
        made = SERVED[request.param](served)
    else:
        made = MAKERS[request.param](tmp_path / "vectors")
    made.open()
    made.create("papers")
    yield made
    made.close()


def vectors(count: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def named(count: int) -> list[str]:
    return [f"id{i:05}" for i in range(count)]


def test_what_was_added_is_nearest_to_itself(store: VectorStore) -> None:
    rows = vectors(200)
    store.upsert("papers", named(200), rows)
    found = store.query("papers", rows[[3, 150]], 5)
    assert [near[0].id for near in found] == ["id00003", "id00150"]
    assert found[0][0].score == pytest.approx(1.0, abs=1e-5)


def test_scores_are_cosines_whatever_the_lengths(store: VectorStore) -> None:
    rows = vectors(50)
    store.upsert("papers", named(50), rows * np.linspace(0.5, 9, 50, dtype=np.float32)[:, None])
    question = vectors(1, seed=9)
    expected = np.sort(rows @ question[0])[::-1][:10]
    scores = [near.score for near in store.query("papers", question * 3, 10)[0]]
    assert scores == pytest.approx(list(expected), abs=1e-4)


def test_fewer_come_back_when_there_are_fewer(store: VectorStore) -> None:
    assert store.query("papers", vectors(2), 5) == [[], []]
    store.upsert("papers", named(3), vectors(3))
    assert len(store.query("papers", vectors(1), 50)[0]) == 3


def test_upserting_replaces(store: VectorStore) -> None:
    rows = vectors(4)
    store.upsert("papers", named(2), rows[:2])
    store.upsert("papers", named(2), rows[2:])
    assert store.count("papers") == 2
    assert store.query("papers", rows[3:], 1)[0][0].score == pytest.approx(1.0, abs=1e-5)


def test_deleting_is_complete_and_forgiving(store: VectorStore) -> None:
    rows = vectors(10)
    store.upsert("papers", named(10), rows)
    store.delete("papers", ["id00000", "id00009", "id00004", "never"])
    store.delete("nowhere", ["id00000"])
    assert store.ids("papers") == set(named(10)) - {"id00000", "id00009", "id00004"}
    assert all(near.id not in ("id00000", "id00009") for near in store.query("papers", rows[:1], 10)[0])
    store.upsert("papers", ["id00000"], rows[:1])
    assert store.query("papers", rows[:1], 1)[0][0].id == "id00000"


def test_only_allowed_ids_are_found(store: VectorStore) -> None:
    rows = vectors(300)
    store.upsert("papers", named(300), rows)
    found = store.query("papers", rows[:1], 3, ["id00007", "id00200", "never"])[0]
    assert {near.id for near in found} == {"id00007", "id00200"}
    assert found[0].score == pytest.approx(max(rows[0] @ rows[7], rows[0] @ rows[200]), abs=1e-5)
    assert store.query("papers", rows[:1], 3, []) == [[]]


def test_many_allowed_ids_are_searched_among(store: VectorStore) -> None:
    rows = vectors(900)
    store.upsert("papers", named(900), rows)
    scores = rows[:600] @ rows[700]
    found = store.query("papers", rows[700:701], 3, [*named(600), "never"])[0]
    assert [near.id for near in found] == [f"id{i:05}" for i in np.argsort(-scores)[:3]]


def test_vectors_can_be_read(store: VectorStore) -> None:
    rows = vectors(300)
    store.upsert("papers", named(300), rows)
    for asked, count in ((None, 300), (["id00007", "never"], 1), ([], 0)):
        ids, read = store.read("papers", asked)
        assert len(set(ids)) == len(ids) == len(read) == count
        assert all(np.allclose(row, rows[int(id_[2:])], atol=1e-6) for id_, row in zip(ids, read, strict=True))


def test_collections_are_apart(store: VectorStore) -> None:
    store.create("papers")
    store.create("other")
    store.upsert("papers", named(3), vectors(3))
    assert (store.count("papers"), store.count("other"), store.count("nowhere")) == (3, 0, 0)
    assert store.ids("nowhere") == set()
    store.drop("papers")
    store.drop("papers")
    assert store.count("papers") == 0
    store.create("papers")
    assert store.ids("papers") == set()


def test_a_collection_that_is_not_there_is_an_error(store: VectorStore) -> None:
    with pytest.raises(BackendError):
        store.query("nowhere", vectors(1), 1)


def test_a_wrong_dimension_is_an_error_for_its_caller_only(store: VectorStore) -> None:
    store.upsert("papers", named(5), vectors(5))
    with pytest.raises(BackendError):
        store.query("papers", np.ones((1, DIMENSION + 1), np.float32), 1)
    with pytest.raises(BackendError):
        store.upsert("papers", ["x"], np.ones((1, DIMENSION + 1), np.float32))
    assert len(store.query("papers", vectors(1), 1)[0]) == 1


def test_callers_at_once_get_their_own_answers(store: VectorStore) -> None:
    rows = vectors(400)
    store.upsert("papers", named(400), rows)
    wrong: list[int] = []

    def ask(first: int) -> None:
        for i in range(first, 400, 8):
            near = store.query("papers", rows[i : i + 1], 1 + i % 7)[0]
            if near[0].id != f"id{i:05}" or len(near) != 1 + i % 7:
                wrong.append(i)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_chroma_keeps_its_vectors(tmp_path: Path) -> None:
    store = ChromaStore(tmp_path / "vectors")
    store.open()
    store.create("papers")
    store.upsert("papers", named(6000), vectors(6000))
    store.close()
    store.open()
    assert store.count("papers") == 6000
    assert store.query("papers", vectors(6000)[5990:5991], 1)[0][0].id == "id05990"
    store.close()


def faiss_files(path: Path) -> FaissStore:
    pytest.importorskip("faiss", reason="pip install 'ragq[faiss]'")
    store = FaissStore(path)
    store.open()
    return store


def test_faiss_files_keep_their_vectors_and_are_readable_by_faiss(tmp_path: Path) -> None:
    store = faiss_files(tmp_path)
    store.create("papers")
    store.upsert("papers", named(100), vectors(100) * 3)
    store.delete("papers", ["id00007"])
    store.close()
    import faiss

    assert faiss.read_index(str(tmp_path / "papers.faiss")).ntotal == 99
    store = faiss_files(tmp_path)
    assert store.ids("papers") == set(named(100)) - {"id00007"}
    assert store.query("papers", vectors(100)[90:91], 1)[0][0].id == "id00090"
    store.drop("papers")
    store.close()
    assert not list(tmp_path.glob("papers*"))


@pytest.mark.parametrize("damage", ["cut", "other", "no ids"])
def test_damaged_faiss_files_are_begun_anew(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    store = faiss_files(tmp_path)
    for name in ("papers", "other"):
        store.create(name)
        store.upsert(name, named(10), vectors(10, seed=len(name)))
    store.close()
    file, other = tmp_path / "papers.faiss", tmp_path / "other.faiss"
    if damage == "no ids":
        (tmp_path / "papers.ids.json").unlink()
    else:
        file.write_bytes(file.read_bytes()[:100] if damage == "cut" else other.read_bytes())
    store = faiss_files(tmp_path)
    assert (store.count("papers"), store.count("other")) == (0, 10)
    assert "papers.faiss is damaged" in caplog.text
    store.upsert("papers", named(2), vectors(2))
    assert store.query("papers", vectors(1), 1)[0][0].id == "id00000"
    store.close()


def test_faiss_files_are_written_now_and_then(tmp_path: Path) -> None:
    faiss_files(tmp_path / "unused").close()
    now = [0.0]
    store = FaissStore(tmp_path, clock=lambda: now[0])
    store.open()
    store.create("papers")
    store.upsert("papers", named(5), vectors(5))
    assert not (tmp_path / "papers.faiss").exists()
    now[0] = 31.0
    store.upsert("papers", ["more"], vectors(1, seed=3))
    assert (tmp_path / "papers.faiss").exists()
    store.close()


def test_without_faiss_the_store_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtra, match="faiss"):
        FaissStore(tmp_path).open()


def test_what_waits_while_chroma_is_asked_goes_as_one_call(tmp_path: Path) -> None:
    store = ChromaStore(tmp_path / "vectors")
    store.open()
    store.create("papers")
    store.upsert("papers", named(50), vectors(50))
    target, sizes = store._known["papers"], []
    query, entered, go_on = target.query, threading.Event(), threading.Event()

    class Watched:
        count = target.count

        def query(self, **arguments: object) -> object:
            sizes.append(len(arguments["query_embeddings"]))  # type: ignore[arg-type]
            entered.set()
            go_on.wait(10)
            return query(**arguments)

    store._known["papers"] = Watched()
    threads = [threading.Thread(target=store.query, args=("papers", vectors(1), 1)) for _ in range(9)]
    threads[0].start()
    entered.wait(10)
    for thread in threads[1:]:
        thread.start()
    while len(store._together._waiting) < 8:
        threads[0].join(0.001)
    go_on.set()
    for thread in threads:
        thread.join()
    store.close()
    assert sizes == [1, 8]


def test_a_second_process_is_told_who_owns_the_directory(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stdout.readline() == "mine\n"
    store = ChromaStore(tmp_path)
    with pytest.raises(Locked) as refused:
        store.open()
    assert f"process {child.pid}" in refused.value.message
    assert "--data-dir" in refused.value.help
    child.kill()
    child.wait()
    child.stdin.close()
    child.stdout.close()
    store.open()
    store.close()
