"""The devices that hold a model: whichever is free takes the next passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue

from .device import Device, Place


class Pool:
    """A model on several devices.

    Args:
        places: one for each.
        timeout_s: of a pass.
        prepare: puts on a device what never changes.

    Raises:
        RagqError: a device or its driver is not there, or ``prepare`` refuses it; the others are let go of.
    """

    def __init__(self, places: Sequence[Place], timeout_s: float, prepare: Callable[[Device], None]) -> None:
        self._devices: list[Device] = []
        self._free: SimpleQueue[Device] = SimpleQueue()
        with ExitStack() as undo:
            undo.callback(self.close)
            for place in places:
                device = Device(place, timeout_s)
                self._devices.append(device)
                prepare(device)
                self._free.put(device)
            undo.pop_all()

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

    def close(self) -> None:
        """End the processes of the devices."""
        for device in self._devices:
            device.close()
        self._devices.clear()
