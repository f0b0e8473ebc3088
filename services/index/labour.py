"""A thread that takes turn after turn while there is work, and outlives every error."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod

from .embedding import Stopping

MAX_REST_S = 30.0
IDLE_S = 5.0
log = logging.getLogger(__name__)


class Rest:
    """When a working thread sleeps, and what wakes it."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._work = threading.Event()

    @property
    def is_over(self) -> bool:
        """Whether the thread is to end."""
        return self._over.is_set()

    def stop(self) -> None:
        """The thread is to end."""
        self._over.set()
        self._work.set()

    def wake(self) -> None:
        """There is work."""
        self._work.set()

    def forget(self) -> None:
        """The thread looks for work now."""
        self._work.clear()

    def until_work(self, seconds: float) -> None:
        """Sleep until there is work, or for so long."""
        self._work.wait(seconds)

    def wait(self, seconds: float) -> bool:
        """Sleep for so long; True when the thread is to end."""
        return self._over.wait(seconds)


class Labour(ABC):
    """The thread; whoever works in it says what a turn is.

    Args:
        name: of the thread, and in messages.
        rest: of this thread alone.
    """

    def __init__(self, name: str, rest: Rest) -> None:
        self._name = name
        self._rest = rest
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @abstractmethod
    def turn(self) -> bool:
        """Do the next piece of work; False when there is none."""

    def start(self) -> None:
        """Take up what a process before this one left, and go on."""
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """End after the turn that runs; what one leaves that takes longer is done again at the next start."""
        self._rest.stop()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def wake(self) -> None:
        """There is work."""
        self._rest.wake()

    def _run(self) -> None:
        rest_s = 1.0
        while not self._rest.is_over:
            try:
                self._rest.forget()
                if not self.turn():
                    self._rest.until_work(IDLE_S)
                rest_s = 1.0
            except Stopping:
                continue
            except Exception:  # the thread outlives everything; a full disk, for example, may get better
                if self._has_ended():
                    return  # the records were closed while the last turn went on
                log.exception("the thread '%s' met an error and goes on in %.0f s", self._name, rest_s)
                self._rest.wait(rest_s)
                rest_s = min(MAX_REST_S, 2 * rest_s)

    def _has_ended(self) -> bool:
        return self._rest.is_over
