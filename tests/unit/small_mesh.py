"""A supervisor of a few small processes."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from services.launching.home import Home
from services.launching.roles import Role, Stage
from services.launching.supervisor import Supervisor
from services.processes import logs


def calm() -> float:
    return 0.0


def supervisor(
    tmp_path: Path, said: list[str], mourn: Callable[[int], None] = lambda _: None, **codes: str
) -> Supervisor:
    home = Home(tmp_path)
    home.prepare()
    stages = {"proxy": Stage.PROXY, "worker": Stage.WORKER, "face": Stage.FACE}
    roles = [Role(n, n, (sys.executable, "-S", "-c", code), stages.get(n, Stage.WORKER)) for n, code in codes.items()]
    return Supervisor(roles, home, env=os.environ, tell=said.append, dice=calm, mourn=mourn)


SERVES = "import signal,sys; signal.signal(15, lambda *_: sys.exit(0)); print('up'); signal.pause(); signal.pause()"
SLEEPS = "import time; print('up'); time.sleep(60)"
DEAF = "import signal; signal.signal(15, signal.SIG_IGN); print('up')\nwhile True: signal.pause()"


def await_line(path: Path) -> None:
    while not logs.last([path], 1):
        threading.Event().wait(0.005)
