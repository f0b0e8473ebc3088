"""How does a process notice that the one that started it is gone, however it went?

A supervised process calls ``watch_parent`` first thing. It then ends within about a second of
its parent, also when the parent was killed with SIGKILL and could tell nobody.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

VARIABLE = "RAGQ_PARENT"
GRACE_S = 1.0
_PR_SET_PDEATHSIG = 1


def watch_parent() -> None:
    """Drain and then die when the parent is gone; nothing happens in a process that nobody supervises.

    Two ways, because each has a hole: the kernel's parent-death signal exists on Linux only and
    follows the thread that spawned us; the pipe needs a thread of ours to run.
    """
    told = os.environ.pop(VARIABLE, "")
    if not told:
        return
    reader, parent, has_signal = (int(part) for part in told.split(":"))
    os.set_inheritable(reader, False)  # noqa: FBT003 - the library's signature
    if has_signal and sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before we asked to be told
        os._exit(1)
    threading.Thread(target=_wait_for_end, args=(reader,), name="watch parent", daemon=True).start()


def invitation(reader: int) -> str:
    """What a parent puts into VARIABLE for a child that inherits the pipe end ``reader``."""
    has_signal = threading.current_thread() is threading.main_thread()
    return f"{reader}:{os.getpid()}:{int(has_signal)}"


def _wait_for_end(reader: int) -> None:
    while os.read(reader, 64):
        continue
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os.killpg(os.getpgrp(), signal.SIGKILL)
