"""An LLM worker is killed while documents come in and while people ask: nothing is lost, nobody waits for ever."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from clients import Answer, Ragq, RagqError
from tests.conftest import TOY, LiveMesh, start_mesh

pytestmark = [pytest.mark.chaos, pytest.mark.mesh, pytest.mark.timeout(120)]
NUM_TEXTS = 1500


@pytest.fixture
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveMesh]:
    live = start_mesh(tmp_path_factory.mktemp("kill"), TOY)
    try:
        live.wait_ready()
        yield live
    finally:
        live.stop()


def kill_llm_worker(client: Ragq) -> int:
    """Kill -9 the LLM worker that is there now, or wait for one."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        workers = client.client("llm").status().workers
        if workers:
            os.kill(workers[0].pid, signal.SIGKILL)
            return workers[0].pid
        time.sleep(0.05)
    raise AssertionError("no LLM worker came back within 20 seconds")


def test_an_add_finishes_complete_when_the_llm_worker_is_killed_under_it(mesh: LiveMesh) -> None:
    client = mesh.client()
    texts = [f"Document {i} is about subject {i % 97} and ends with the number {i}." for i in range(NUM_TEXTS)]
    job = client.index.add("many", texts=texts)
    killed = set()
    for record in job.follow(0.02):
        if len(killed) < 2 and record.num_done > len(killed) * NUM_TEXTS // 3:
            killed.add(kill_llm_worker(client))
    assert len(killed) == 2
    assert (job.record.status, job.record.num_done, job.record.num_failed) == ("succeeded", NUM_TEXTS, 0)
    (collection,) = client.index.collections()
    assert (collection.num_documents, collection.num_chunks, collection.num_failed) == (NUM_TEXTS, NUM_TEXTS, 0)
    for i in (0, NUM_TEXTS // 2, NUM_TEXTS - 1):
        assert client.index.search("many", texts[i], 1, "dense", rerank=False)[0].text == texts[i]


def test_every_question_ends_when_the_llm_worker_is_killed_under_it(mesh: LiveMesh) -> None:
    client = mesh.client()
    client.index.add("notes", texts=["The cafe is closed on Saturdays.", "Penguins eat fish."]).wait(30)
    outcomes: list[Answer | RagqError] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            try:
                outcomes.append(client.ask("notes", "When is the cafe closed?", answer="written"))
            except RagqError as error:
                outcomes.append(error)

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    for _ in range(2):
        time.sleep(0.5)
        kill_llm_worker(client)
    time.sleep(0.5)
    over.set()
    for asker in askers:
        asker.join(40)
    assert not any(asker.is_alive() for asker in askers)
    answers = [o for o in outcomes if isinstance(o, Answer)]
    errors = {str(o) for o in outcomes if isinstance(o, RagqError)}
    assert answers
    assert all(error.strip() for error in errors)
    assert client.ask("notes", "When is the cafe closed?", answer="written").citations
