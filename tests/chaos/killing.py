"""How is a process of a mesh killed, and a job followed through it?"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from clients import Ragq, RagqError
from clients.index import Job, JobRecord

WAIT_S = 90.0


def kill(client: Ragq, whom: str) -> None:
    """Kill -9 one process of the mesh."""
    status = client.client(whom.rpartition(" ")[2]).status()
    os.kill(status.pid if whom.startswith("proxy") else status.workers[0].pid, signal.SIGKILL)


def until(job: Job, done: Callable[[JobRecord], bool]) -> None:
    """Look at the job, through whatever the kills do to calls, until it is as it should be."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            if done(job.refresh()):
                return
        except RagqError:
            time.sleep(0.1)
        assert time.monotonic() < deadline, job.record
