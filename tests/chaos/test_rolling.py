"""Every process of a service is replaced under load, one after the other: no call fails, and none runs twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.caller import Caller, call_at_a_rate
from tests.mesh.processes import Process, Processes, processes, until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]
TOY = {"name": "toy", "backend": "toy"}


def replace_workers(mesh: Processes, workers: list[Process]) -> list[Process]:
    """The new ones; each takes its place before an old one leaves."""
    new = []
    for old in workers:
        new.append(mesh.start("worker"))
        mesh.wait_workers(len(workers) + 1)
        old.terminate()
        assert old.wait(60) == 0
        mesh.wait_workers(len(workers))
    return new


def answered(caller: Caller, more: int) -> None:
    """Wait for so many answers more."""
    so_far = len(caller.outcomes())
    until(lambda: len(caller.outcomes()) > so_far + more, 60)


def test_no_call_of_a_req_socket_fails_while_every_worker_is_replaced(tmp_path: Path) -> None:
    with processes(tmp_path, "", "llm", embed=TOY, rerank=TOY, generate=TOY) as mesh:
        _, workers = mesh.start_mesh(2)
        caller = call_at_a_rate(mesh, "legacy", 20)
        answered(caller, 20)
        replace_workers(mesh, workers)
        answered(caller, 20)
        assert Counter(outcome.error for outcome in caller.finish()).keys() == {""}
