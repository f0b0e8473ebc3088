"""Which calls wait for a slot, in which order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from proxies.parties import Call


class Waiting:
    """A queue for each method, bounded by whoever fills it.

    Attributes:
        num_bytes: size of all calls that wait.
    """

    def __init__(self) -> None:
        self._by_method: dict[int, deque[Call]] = {}
        self._num = 0
        self.num_bytes = 0

    def __len__(self) -> int:
        return self._num

    def __iter__(self) -> Iterator[Call]:
        return iter([call for queue in self._by_method.values() for call in queue])

    def __contains__(self, call: Call) -> bool:
        return call in self._by_method.get(call.method, ())

    def has(self, method: int) -> bool:
        """Whether a call of this method waits."""
        return method in self._by_method

    def heads(self) -> list[Call]:
        """The first call of each method, the oldest first."""
        return sorted((queue[0] for queue in self._by_method.values()), key=lambda call: call.arrived)

    def add(self, call: Call, *, first: bool = False) -> None:
        """Queue a call behind, or before, the others of its method."""
        queue = self._by_method.setdefault(call.method, deque())
        queue.appendleft(call) if first else queue.append(call)
        self._num += 1
        self.num_bytes += call.size

    def remove(self, call: Call) -> None:
        """Take a call out, wherever it stands."""
        queue = self._by_method[call.method]
        queue.remove(call)
        if not queue:
            del self._by_method[call.method]
        self._num -= 1
        self.num_bytes -= call.size
