"""Which of several workers writes, and how does another take its place?"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from .lock import DirectoryLock

LOOK_S = 0.25
FIRST_REST_S = 1.0
MAX_REST_S = 30.0
log = logging.getLogger(__name__)


class Succession:
    """Waits for the lock of the data directory, as long as another worker has it.

    The operating system frees the lock when its process ends, however it ends, and never before: a leader that is only
    slow, or stopped, keeps it, so that there are never two.

    Args:
        lock: of the data directory.
        lead: called once, from a thread of its own, when the lock is ours; when it raises, the lock is given up for a
            while, so that another worker may try.
    """

    def __init__(self, lock: DirectoryLock, lead: Callable[[], None]) -> None:
        self._lock = lock
        self._lead = lead
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="succession", daemon=True)

    def start(self) -> None:
        """Begin to wait."""
        self._thread.start()

    def stop(self) -> None:
        """Wait no longer; a change of leader that is under way is finished."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        rest_s = FIRST_REST_S
        while not self._over.is_set():
            if not self._lock.try_acquire():
                self._over.wait(LOOK_S)
                continue
            try:
                self._lead()
            except Exception:  # a full disk, for example; searches go on, and another worker may be luckier
                self._lock.release()
                log.exception("this worker could not take the lead; it tries again in %.0f s", rest_s)
                self._over.wait(rest_s)
                rest_s = min(MAX_REST_S, 2 * rest_s)
            else:
                return
