"""32 callers embed, rerank and write, give up, come too late and ask nonsense, while models are exchanged.

Every call ends once, with its own answer or an error that it deserves, and the worker holds no more threads,
files or memory afterwards than before. ``RAGQ_STRESS_S`` is how long it goes on.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from clients import Ragq, RagqError
from clients.errors import BadRequest
from clients.settings import load
from tests.conftest import link_models
from tests.mesh.processes import Processes, processes, until

pytestmark = [pytest.mark.chaos, pytest.mark.mesh, pytest.mark.slow, pytest.mark.timeout(3600)]
DURATION_S = float(os.environ.get("RAGQ_STRESS_S", "20"))
NUM_CALLERS, NUM_CLIENTS = 32, 4
QUIET_S = 60.0
MIB = 1 << 20
TOY = {"name": "toy", "backend": "toy"}
MODELS = {
    "toy": {"embed": TOY, "rerank": TOY, "generate": TOY},
    "embedded": {
        "embed": {"name": "multilingual-e5-small"},
        "rerank": {"name": "maxsim"},
        "generate": {"name": "smollm2-135m-instruct"},
    },
}
# What else than an answer a call may end with here.
DESERVED = {"DeadlineExceeded", "Cancelled", "Busy", "OverLimit"}
WORDS = [f"word{i}" for i in range(500)]


@pytest.fixture(params=["toy", pytest.param("embedded", marks=pytest.mark.models)])
def mesh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Processes]:
    names = [model["name"] for model in MODELS[request.param].values()]
    if request.param == "embedded":
        link_models(tmp_path / "home", *(name for name in names if name != "maxsim"))
    with processes(tmp_path, "", "llm", **MODELS[request.param]) as mesh:
        mesh.start_mesh(1)
        yield mesh


def text(chance: random.Random, most: int = 60) -> str:
    return " ".join(chance.choices(WORDS, k=chance.randint(1, most)))


def embed(mesh: Ragq, chance: random.Random) -> None:
    texts = [text(chance) for _ in range(chance.randint(1, 8))]
    rows = mesh.llm.embed(texts, chance.choice(["query", "document"]))
    assert rows.shape[0] == len(texts)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=5e-3)


def rerank(mesh: Ragq, chance: random.Random) -> None:
    documents = [chance.choice(["", text(chance)]) for _ in range(chance.randint(1, 10))]
    ranked = mesh.llm.rerank(text(chance, 8), documents)
    assert sorted(one.index for one in ranked) == list(range(len(documents)))
    logits = [one.logit for one in ranked]
    assert logits == sorted(logits, reverse=True)


def write(mesh: Ragq, chance: random.Random) -> None:
    with mesh.llm.generate(text(chance, 10), stream=True, max_tokens=8) as tokens:
        pieces = [token.text for token in tokens]
        assert "".join(pieces) == tokens.reply.text


def leave(mesh: Ragq, chance: random.Random) -> None:
    """Read a word or two of a long answer, and go."""
    with mesh.llm.generate(text(chance, 10), stream=True, max_tokens=64) as tokens:
        for _ in zip(tokens, range(2), strict=False):
            pass


def hurry(mesh: Ragq, chance: random.Random) -> None:
    mesh.llm.embed([text(chance) for _ in range(16)], timeout_s=chance.choice([0.001, 0.01, 0.05]))


def blunder(mesh: Ragq, chance: random.Random) -> None:
    """Nonsense is refused, each time."""
    nonsense: list[Callable[[], object]] = [
        lambda: mesh.llm.embed(["fine", "  "]),
        lambda: mesh.llm.embed(["fine"], dimension=7),
        lambda: mesh.llm.rerank("", ["document"]),
        lambda: mesh.llm.generate("prompt", temperature=-1.0),
    ]
    with pytest.raises(BadRequest):
        chance.choice(nonsense)()


def exchange(mesh: Ragq, chance: random.Random) -> None:
    mesh.llm.reload("rerank", chance.choice(["maxsim", ""]), release_first=chance.random() < 0.3)
    time.sleep(0.2)


CALLS = (embed, embed, embed, rerank, rerank, write, leave, hurry, blunder)


@dataclass
class Load:
    """Callers, and what they met."""

    mesh: Processes
    ends: Counter[str] = field(default_factory=Counter)
    took_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    defects: list[BaseException] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, duration_s: float) -> None:
        """Let them call; returns when each has ended its last call."""
        until_at = time.monotonic() + duration_s
        config = load(self.mesh.path, env={}).config
        clients = [Ragq(config) for _ in range(NUM_CLIENTS)]
        callers = [
            threading.Thread(target=self._call, args=(clients[number % NUM_CLIENTS], number, until_at))
            for number in range(NUM_CALLERS)
        ]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(duration_s + 120)
            assert not caller.is_alive(), "a call did not end"
        for client in clients:
            client.close()

    def _call(self, mesh: Ragq, number: int, until_at: float) -> None:
        chance = random.Random(number)
        while time.monotonic() < until_at:
            what = exchange if number == 0 else chance.choice(CALLS)
            start, end = time.monotonic(), "ok"
            try:
                what(mesh, chance)
            except RagqError as error:
                end = type(error).__name__
            except BaseException as defect:  # noqa: BLE001 - whatever it is, the test has to hear of it
                self.defects.append(defect)
                return
            with self._lock:
                self.ends[end] += 1
                if end == "ok":
                    self.took_s[what.__name__].append(time.monotonic() - start)

    def report(self) -> str:
        """What ended how, and how long the slowest took."""
        lines = [f"{sum(self.ends.values())} calls: {dict(self.ends)}"]
        for name, took in sorted(self.took_s.items()):
            half, most = np.percentile(took, [50, 99]) * 1000
            lines.append(f"{name:10} {len(took):6} p50 {half:8.1f} ms  p99 {most:8.1f} ms")
        return "\n".join(lines)


def held(pid: int) -> tuple[int, int, int]:
    """Threads, open files and resident bytes of a process."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(status["Threads"]), len(list(Path(f"/proc/{pid}/fd").iterdir())), int(status["VmRSS"].split()[0]) * 1024


def is_idle(mesh: Processes) -> bool:
    with Ragq(load(mesh.path, env={}).config) as client:
        return all(not role.num_waiting and not role.num_running for role in client.llm.usage().roles)


def test_every_call_ends_once_and_nothing_grows(mesh: Processes) -> None:
    worker = mesh.started[-1].pid
    warm = Load(mesh)
    warm.run(max(5.0, DURATION_S / 4))
    until(lambda: is_idle(mesh), QUIET_S)
    before = held(worker)
    calls = Load(mesh)
    calls.run(DURATION_S)
    until(lambda: is_idle(mesh), QUIET_S)
    after = held(worker)
    sys.stdout.write(
        f"\n{calls.report()}\nthreads, files, MiB: {before[:2]}, {before[2] // MIB} -> {after[:2]}, {after[2] // MIB}"
    )
    assert not warm.defects + calls.defects
    assert set(calls.ends) <= {"ok", *DESERVED}, calls.ends
    assert calls.ends["ok"]
    assert after[0] <= before[0] + 4
    assert after[1] <= before[1] + 4
    assert after[2] <= before[2] * 1.25 + 64 * MIB
    assert mesh.started[-1].poll() is None
