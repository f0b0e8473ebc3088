"""How the I/O thread of a worker sleeps, and how others end that."""

from __future__ import annotations

import math
import select
from collections.abc import Callable, Sequence

from clients import sockets


class Watch:
    """One thread sleeps; any other rouses it.

    Attributes:
        is_asleep: whether a message that is left now is seen only after ``rouse``.
        wake: ends the present sleep, or else the next one; safe in a signal handler.
    """

    def __init__(self) -> None:
        self.wake = sockets.Wake()
        self.is_asleep = False
        self._fds: Sequence[int] = ()
        self._poll = select.poll()

    def rouse(self) -> None:
        """End the sleep; a thread that is awake looks at everything before it sleeps again."""
        if self.is_asleep:
            self.wake.set()

    def sleep(self, fds: Sequence[int], pause_s: Callable[[], float]) -> set[int]:
        """Until one of ``fds`` is readable; they are returned.

        Args:
            fds: file descriptors.
            pause_s: seconds to sleep at most; asked when ``rouse`` has its effect already.
        """
        if fds != self._fds:
            self._register(fds)
        self.is_asleep = True
        try:
            ready = {fd for fd, _ in self._poll.poll(math.ceil(pause_s() * 1000))}
        finally:
            self.is_asleep = False
        if self.wake.reader in ready:
            self.wake.clear()
        return ready

    def _register(self, fds: Sequence[int]) -> None:
        self._fds, self._poll = fds, select.poll()
        for fd in (self.wake.reader, *fds):
            self._poll.register(fd, select.POLLIN)

    def close(self) -> None:
        """Nobody sleeps here any more."""
        self.wake.close()
