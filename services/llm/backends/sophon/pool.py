"""The devices that hold a model: whichever is free takes the next passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from queue import Empty, SimpleQueue

from services.service import Call

from .device import Device, Place

CHECK_S = 0.1


class Pool:
    """A model on several devices.

    Args:
        places: one for each.
        timeout_s: of a pass.
        prepare: puts on a device what never changes.
        num_shares: how many may have a device at a time; their passes take turns.

    Raises:
        RagqError: a device or its driver is not there, or ``prepare`` refuses it; the others are let go of.
    """

    def __init__(
        self, places: Sequence[Place], timeout_s: float, prepare: Callable[[Device], None], num_shares: int = 1
    ) -> None:
        self._devices: list[Device] = []
        self._free: SimpleQueue[Device] = SimpleQueue()
        with ExitStack() as undo:
            undo.callback(self.close)
            for place in places:
                device = Device(place, timeout_s)
                self._devices.append(device)
                prepare(device)
            undo.pop_all()
        for device in self._devices * num_shares:
            self._free.put(device)

    def __len__(self) -> int:
        return len(self._devices)

    @contextmanager
    def taken(self) -> Iterator[Device]:
        """A device for oneself; waits for a free one."""
        device = self._free.get()
        try:
            yield device
        finally:
            self._free.put(device)

    @contextmanager
    def lent(self, call: Call) -> Iterator[Device]:
        """As ``taken``, for as long as the caller waits.

        Raises:
            Cancelled: the caller left.
            DeadlineExceeded: it took too long.
        """
        while True:
            call.check()
            with suppress(Empty):
                device = self._free.get(timeout=CHECK_S)
                break
        try:
            yield device
        finally:
            self._free.put(device)

    def close(self) -> None:
        """End the processes of the devices."""
        for device in self._devices:
            device.close()
        self._devices.clear()
