"""A model is exchanged while the mesh serves: every worker follows, no call fails, a failure changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients import Ragq, RagqError
from clients.aio import AsyncRagq
from clients.config import Config
from clients.errors import ModelNotLoaded, UnknownMethod
from clients.settings import load
from tests.conftest import ROOT
from tests.mesh.processes import Processes, processes, until

pytestmark = pytest.mark.mesh
TOY = {"name": "toy", "backend": "toy"}
DOCUMENTS = ["the red house", "blue whales swim", "a red boat"]


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    models = {"embed": TOY, "rerank": TOY, "generate": TOY}
    with processes(tmp_path_factory.mktemp("exchange"), "", "llm", num_workers=2, **models) as mesh:
        mesh.start_mesh(2)
        yield mesh


def config(mesh: Processes) -> Config:
    return load(mesh.path, env={}).config


@pytest.fixture
def client(mesh: Processes) -> Iterator[Ragq]:
    with Ragq(config(mesh)) as client:
        yield client
        client.llm.reload("rerank")
        until(lambda: notes(mesh, "rerank toy (ready)") == 2)


def notes(mesh: Processes, words: str) -> int:
    """How many workers say so."""
    status = mesh.status()
    return sum(words in worker.note for worker in status.workers) if status else 0


def test_every_worker_follows_while_calls_go_on_and_none_fails(mesh: Processes, client: Ragq) -> None:
    over = threading.Event()
    models: list[str] = []
    failures: list[RagqError] = []

    def ask() -> None:
        with Ragq(config(mesh)) as own:
            while not over.is_set():
                try:
                    ranked = own.llm.rerank("red house", DOCUMENTS)
                    models.append(f"{ranked[0].index} {ranked[0].kind}")
                    own.llm.embed(["some text"])
                except RagqError as error:
                    failures.append(error)

    callers = [threading.Thread(target=ask) for _ in range(4)]
    for caller in callers:
        caller.start()
    for name, backend in (("maxsim", ""), ("", ""), ("maxsim", ""), ("", ""), ("maxsim", "")):
        reloaded = client.llm.reload("rerank", name, backend=backend, release_first=not name)
        assert reloaded.model.name == (name or "toy")
        time.sleep(0.2)
    until(lambda: notes(mesh, "rerank maxsim (ready; chosen instead of toy)") == 2)
    over.set()
    for caller in callers:
        caller.join(20)
    assert not failures
    assert set(models) == {"0 similarity"}


def test_a_reload_that_fails_says_why_and_everything_goes_on(mesh: Processes, client: Ragq) -> None:
    for release_first in (False, True):
        with pytest.raises(ModelNotLoaded, match="'no-such-model' is not on this machine") as failure:
            client.llm.reload("embed", "no-such-model", backend="openvino", release_first=release_first)
        assert "ragq models" in failure.value.help
        assert client.llm.embed(["served"]).shape == (1, 256)
    assert notes(mesh, "embed toy (ready)") == 2


def command(mesh: Processes, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, str(ROOT / "service.py"), "models", "reload", *arguments, "--config", str(mesh.path)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_exchanges_a_model_of_a_mesh_that_runs(mesh: Processes, client: Ragq) -> None:
    done = command(mesh, "rerank", "maxsim", "--json")
    assert {"name": "maxsim", "previous": "toy"}.items() <= json.loads(done.stdout).items(), done.stderr
    until(lambda: notes(mesh, "rerank maxsim (ready; chosen instead of toy)") == 2)
    assert client.llm.rerank("red house", DOCUMENTS)[0].index == 0
    refused = command(mesh, "embed", "no-such-model", "--backend", "openvino")
    assert refused.returncode != 0
    assert "'no-such-model' is not on this machine" in refused.stderr
    assert command(mesh, "rerank").stdout.startswith("rerank: toy instead of maxsim, after ")


async def test_the_asyncio_client_reloads_and_hears_of_usage_too(mesh: Processes, client: Ragq) -> None:
    async with AsyncRagq(config(mesh)) as own:
        assert (await own.llm.reload("rerank", "maxsim")).previous == "toy"
        usage = await own.llm.usage()
    assert {role.role for role in usage.roles} == {"embed", "rerank", "generate"}


def test_usage_tells_what_a_worker_has_done_and_takes(mesh: Processes, client: Ragq) -> None:
    client.llm.embed([f"text number {i}" for i in range(20)])
    until(lambda: sum(role.num_passes for role in client.llm.usage().roles if role.role == "embed") > 0)
    usage = client.llm.usage()
    embed = next(role for role in usage.roles if role.role == "embed")
    assert embed.num_calls > 0
    assert embed.num_tokens > 0
    assert usage.pid in {process.pid for process in mesh.started}
    assert usage.rss_bytes > 10_000_000
    assert usage.cpu_s > 0
    assert 1 <= usage.threads <= (os.cpu_count() or 1)


def test_two_workers_of_one_machine_take_no_more_threads_than_it_has_cores(mesh: Processes, client: Ragq) -> None:
    threads: dict[int, int] = {}

    def have_both_answered() -> bool:
        usage = client.llm.usage()
        threads[usage.pid] = usage.threads
        return len(threads) == 2

    until(have_both_answered)
    assert sum(threads.values()) <= len(os.sched_getaffinity(0))


def test_workers_of_one_service_serve_different_roles(tmp_path: Path) -> None:
    with processes(tmp_path, "", "llm", embed=TOY, rerank=TOY, generate=TOY) as mesh:
        mesh.start("proxy")
        whole = json.loads(mesh.path.read_text())
        for number, roles in enumerate((["generate"], ["embed"]), start=1):
            mesh.path.write_text(json.dumps(whole | {"llm": whole["llm"] | {"roles": roles}}))
            mesh.start("worker")
            mesh.wait_workers(number)
        with Ragq(config(mesh)) as client:
            assert client.llm.embed(["a text"]).shape == (1, 256)
            assert client.llm.generate("hello").text == "You said: hello"
            found = {info.role: info.status for info in client.llm.models()}
            assert found == {"embed": "ready", "rerank": "no worker serves it", "generate": "ready"}
            for role in ("embed", "generate"):
                assert client.llm.reload(role).model.role == role
            with pytest.raises(UnknownMethod):
                client.llm.rerank("red house", DOCUMENTS)
