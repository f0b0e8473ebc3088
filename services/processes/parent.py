"""How does a process end when the one that started it is gone, however it went?

A parent holds the writing end of a pipe and never writes. A supervised process calls
``watch_parent`` first thing: from then on the end of the pipe is its own end, and that of
everything that it started, also when the parent was killed with SIGKILL and could tell nobody.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import threading

VARIABLE = "RAGQ_PARENT"


def watch_parent() -> None:
    """Die with the parent; nothing happens in a process that nobody supervises.

    On Linux the kernel itself kills our process group when the pipe ends. A thread of ours could
    not: it waits as long as a library loads a model without letting go of the interpreter. The
    parent-death signal (prctl) could not either: it follows the thread that spawned us, and spares
    the processes that we started.
    """
    told = os.environ.pop(VARIABLE, "")
    if not told:
        return
    reader = int(told)
    os.set_inheritable(reader, False)  # noqa: FBT003 - the library's signature
    if not _let_kernel_watch(reader):
        threading.Thread(target=_watch, args=(reader,), name="watch parent", daemon=True).start()
    if select.select([reader], [], [], 0)[0]:  # it was gone before anybody watched
        _end()


def _let_kernel_watch(reader: int) -> bool:
    """Have SIGKILL sent to our group at the end of the pipe; whether this system can."""
    if not hasattr(fcntl, "F_SETSIG"):
        return False
    try:
        fcntl.fcntl(reader, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(reader, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(reader, fcntl.F_SETFL, fcntl.fcntl(reader, fcntl.F_GETFL) | os.O_ASYNC)
    except OSError:
        return False
    return True


def _watch(reader: int) -> None:
    select.select([reader], [], [])
    _end()


def _end() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)
