"""Eight index workers over one server of vectors answer like one, and lose nothing by ten thousand changes."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from clients import Ragq, RagqError
from clients.errors import NotFound
from clients.index import FINISHED, Hit, Text
from clients.settings import load
from clients.status import WorkerStatus
from services.index.catalog import Catalog
from services.index.schema import Database
from services.index.stores.exchange import Exchange
from services.index.stores.server import ChromaServer
from services.index.stores.whereabouts import Whereabouts
from tests.conftest import TOY, LiveMesh, merged, start_mesh
from tests.mesh.test_legacy import ask, connected

pytestmark = [pytest.mark.chaos, pytest.mark.mesh, pytest.mark.timeout(240)]
NUM_WORKERS = 8
START_S = 90.0
NUM_CALLERS = 16
PER_CALL = 25
NUM_ADDED = 6500
NUM_DELETED = 3500
QUESTIONS = [f"what is told of subject {n * 11}" for n in range(12)]


def started(directory: Path, **index: Any) -> LiveMesh:
    return start_mesh(directory, merged(TOY, {"index": index}))


def workers(client: Ragq) -> list[WorkerStatus]:
    return client.client("index").status().workers


def leader(client: Ragq) -> WorkerStatus:
    """The worker that says it leads, as soon as one does."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        for worker in workers(client):
            if worker.note.startswith("leads"):
                return worker
        time.sleep(0.05)
    pytest.fail("no worker leads")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveMesh]:
    """A mesh whose eight index workers were started at once."""
    live = started(tmp_path_factory.mktemp("shared"), store="chroma-server", num_workers=NUM_WORKERS)
    try:
        live.wait_ready()
        client, deadline = live.client(), time.monotonic() + START_S
        while len(workers(client)) < NUM_WORKERS:
            assert time.monotonic() < deadline, live.log.read_text(encoding="utf-8")[-4000:]
            time.sleep(0.1)
        yield live
    finally:
        live.stop()


def test_eight_workers_answer_like_one(shared: LiveMesh, tmp_path: Path) -> None:
    texts = [Text(f"{n}.txt", f"File {n} tells of subject {n * 7}, and of thing {n % 13}.") for n in range(400)]
    alone = started(tmp_path, store="chroma")
    try:
        alone.wait_ready()
        clients = [shared.client(), alone.client()]
        for client in clients:
            assert client.index.add("papers", texts=texts).wait(60).status == "succeeded"
        for question in QUESTIONS:
            (expected,) = _answers(clients[1], question, 1)
            for found in _answers(clients[0], question, 2 * NUM_WORKERS):
                assert found == expected
    finally:
        alone.stop()
    notes = [worker.note for worker in workers(clients[0])]
    assert sorted(note.split()[0] for note in notes) == ["follows"] * (NUM_WORKERS - 1) + ["leads;"]


def _answers(client: Ragq, question: str, num: int) -> list[list[tuple[str, float]]]:
    """Hits with their scores, asked at once, so that every worker gets its share."""
    with ThreadPoolExecutor(num) as pool:
        return [_told(hits) for hits in pool.map(lambda _: client.index.search("papers", question, 20), range(num))]


def _told(hits: list[Hit]) -> list[tuple[str, float]]:
    """Hits with their scores; of those that are as good as the last one, any may be among the twenty."""
    rounded = [(hit.chunk_id, round(hit.score, 4)) for hit in hits]
    last = rounded[-1][1]
    return [*sorted(pair for pair in rounded if pair[1] != last), ("any", last)]


def test_calls_of_the_older_mesh_go_to_the_leader(shared: LiveMesh) -> None:
    front = load(shared.config, env={}).config.index.front_end.address
    with connected(zmq.REQ, front) as socket:
        for number in range(2 * NUM_WORKERS):
            texts = {"keys": [f"key {number}"], "texts": [f"old text {number}"], "collection_name": "old"}
            assert ask(socket, {"cmd": "INDEX_TEXTS", **texts})["code"] == 200
            found = ask(socket, {"cmd": "SEARCH_NEARBY", "text": f"old text {number}", "collection_name": "old"})
            assert found["code"] == 200, found


class Callers:
    """Callers that add texts, and delete some of those that are there, until all is done."""

    def __init__(self, client: Ragq, collection: str) -> None:
        self._client, self._collection = client, collection
        self._lock = threading.Lock()
        self._next = 0
        self.added: dict[str, str] = {}
        self.deleted: set[str] = set()
        self.jobs: list[str] = []
        self.num_done = 0

    def run(self) -> None:
        """All of them at once; the first error of one is raised."""
        with ThreadPoolExecutor(NUM_CALLERS) as pool:
            for future in [pool.submit(self._work, number) for number in range(NUM_CALLERS)]:
                future.result()

    def _work(self, number: int) -> None:
        while (first := self._claim()) < NUM_ADDED:
            names = [f"{n}" for n in range(first, first + PER_CALL)]
            texts = [Text(f"{name}.txt", f"Text {name} is about subject {int(name) * 7}.") for name in names]
            job = _patiently(lambda texts=texts: self._client.index.add(self._collection, texts=texts))
            with self._lock:
                self.jobs.append(job.record.id)
                self.num_done += PER_CALL
            self._delete(number)
        while len(self.deleted) < NUM_DELETED:
            self._delete(number)

    def _claim(self) -> int:
        with self._lock:
            first, self._next = self._next, self._next + PER_CALL
            return first

    def _delete(self, number: int) -> None:
        """Delete documents of anybody's, whatever stage they are at."""
        wanted = PER_CALL * NUM_DELETED // NUM_ADDED + 1
        page = _patiently(lambda: self._client.index.documents(self._collection, offset=number * wanted, limit=wanted))
        for document in page.documents:
            with self._lock:
                if len(self.deleted) >= NUM_DELETED or document.id in self.deleted:
                    continue
                self.deleted.add(document.id)
            _patiently(lambda document=document: self._client.index.delete_document(document.id))
            with self._lock:
                self.num_done += 1


def _patiently(call: Any) -> Any:
    """The call's answer, through the death of whoever had it; what is gone already was deleted by the first try."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return call()
        except NotFound:
            return None
        except RagqError as error:
            if not error.retryable or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_ten_thousand_changes_by_many_callers_lose_nothing_though_the_leader_is_killed(shared: LiveMesh) -> None:
    client = shared.client(timeout_s=60)
    callers = Callers(client, "many")
    client.index.create_collection("many")
    work = threading.Thread(target=callers.run)
    work.start()
    killed = []
    for share in (0.2, 0.6):
        while callers.num_done < share * (NUM_ADDED + NUM_DELETED) and work.is_alive():
            time.sleep(0.02)
        killed.append(leader(client).pid)
        os.kill(killed[-1], signal.SIGKILL)
        for _ in range(20):  # no search fails while another takes the lead
            client.index.search("many", "subject 77", 3, "keyword", rerank=False)
    work.join()
    assert len(set(killed)) == 2
    for job in callers.jobs:
        while client.index.job(job).refresh().status not in FINISHED:
            time.sleep(0.05)
    _nothing_is_lost(shared, client, callers)


def _nothing_is_lost(mesh: LiveMesh, client: Ragq, callers: Callers) -> None:
    """What was added and not deleted is there, and a process of its own finds each vector by itself."""
    assert len(callers.deleted) == NUM_DELETED
    left = NUM_ADDED - NUM_DELETED
    assert client.index.documents("many", status="ready", limit=1).total == left
    assert client.index.documents("many", limit=1).total == left
    report = json.loads(mesh.run("fsck", "--collection", "many", "--probe", "--json", timeout_s=120).stdout)
    assert report["findings"] == []
    catalog = Catalog(Database(mesh.home / "index" / "records.sqlite", is_owner=False), time.time)
    shelf, server = catalog.shelf("many"), ChromaServer(Exchange(Whereabouts(mesh.home).url))
    entries = list(catalog.documents.entries.by_id(shelf.id, sorted(catalog.documents.entries.wanted(shelf.id))))
    assert len(entries) == left
    assert server.ids(shelf.store_key) == {entry.id for entry in entries}
    ids, rows = server.read(shelf.store_key)
    vectors = dict(zip(ids, rows, strict=True))
    assert all(np.allclose(vectors[entry.id], entry.vector, atol=1e-5) for entry in entries)
    server.close()
    catalog.database.close()
