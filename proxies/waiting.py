"""Which calls wait for a slot, and which of them is next.

Two lanes, in each the methods take turns, and in each method the clients; a client's calls keep their order.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterator

from clients.wire import Flag
from proxies.parties import NUMBER, Call, Worker

INTERACTIVE_PER_BULK = 4


class Line:
    """The calls of one method in one lane; those that come back stand before all others."""

    __slots__ = ("_clients", "_num", "_returned")

    def __init__(self) -> None:
        self._clients: OrderedDict[bytes, OrderedDict[int, Call]] = OrderedDict()
        self._returned: list[Call] = []
        self._num = 0

    def __len__(self) -> int:
        return self._num

    def __iter__(self) -> Iterator[Call]:
        yield from self._returned
        for calls in self._clients.values():
            yield from calls.values()

    def add(self, call: Call) -> None:
        """Queue a new call behind the others of its client."""
        client, call_id = call.key
        calls = self._clients.get(client)
        if calls is None:
            calls = self._clients[client] = OrderedDict()
        calls[call_id] = call
        self._num += 1

    def add_back(self, call: Call) -> None:
        """Queue a call that a worker had: before all that have not begun, in the order of arrival."""
        insort(self._returned, call, key=NUMBER)
        self._num += 1

    def remove(self, call: Call) -> None:
        """Take a call out, wherever it stands."""
        client, call_id = call.key
        calls = self._clients.get(client)
        if calls is not None and calls.pop(call_id, None) is not None:
            if not calls:
                del self._clients[client]
        else:
            del self._returned[bisect_left(self._returned, call.number, key=NUMBER)]
        self._num -= 1

    def take(self, worker: Worker) -> Call | None:
        """The next call for a worker; none that the same worker has lost before."""
        for place, call in enumerate(self._returned):
            if worker.ready.uuid not in call.losses:
                del self._returned[place]
                self._num -= 1
                return call
        return self._take_new() if self._clients else None

    def _take_new(self) -> Call:
        client, calls = next(iter(self._clients.items()))
        _, call = calls.popitem(last=False)
        if calls:
            self._clients.move_to_end(client)
        else:
            del self._clients[client]
        self._num -= 1
        return call

    def num_before(self, client: bytes) -> int:
        """How many calls go first if this client adds one now."""
        own = self._clients.get(client)
        in_turns = (len(own) + 1) * len(self._clients) if own else len(self._clients)
        return min(self._num, len(self._returned) + in_turns)


class Lane:
    """The lines of all methods with calls, the one whose turn it is first."""

    __slots__ = ("_lines", "num")

    def __init__(self) -> None:
        self._lines: OrderedDict[int, Line] = OrderedDict()
        self.num = 0

    def __iter__(self) -> Iterator[Call]:
        for line in self._lines.values():
            yield from line

    def line(self, method: int) -> Line | None:
        """The line of a method; None when it is empty."""
        return self._lines.get(method)

    def methods(self) -> list[int]:
        """Methods with calls, the one whose turn it is first."""
        return list(self._lines)

    def add(self, call: Call, *, is_back: bool) -> None:
        """Queue a call, new or come back."""
        line = self._lines.get(call.method)
        if line is None:
            line = self._lines[call.method] = Line()
        line.add_back(call) if is_back else line.add(call)
        self.num += 1

    def remove(self, call: Call) -> None:
        """Take a call out."""
        line = self._lines[call.method]
        line.remove(call)
        self._shorten(call.method, line)

    def take(self, worker: Worker) -> Call | None:
        """The next call for a worker; its method goes behind the others."""
        for method, line in self._lines.items():
            if method in worker.methods and (call := line.take(worker)) is not None:
                self._lines.move_to_end(method)
                self._shorten(method, line)
                return call
        return None

    def _shorten(self, method: int, line: Line) -> None:
        self.num -= 1
        if not line:
            del self._lines[method]


class Waiting:
    """The interactive and the bulk lane, bounded by whoever fills them.

    Attributes:
        num: how many calls wait.
        num_bytes: their size.
    """

    __slots__ = ("_bulk", "_interactive", "num", "num_bytes")

    def __init__(self) -> None:
        self._interactive = Lane()
        self._bulk = Lane()
        self.num = 0
        self.num_bytes = 0

    def __len__(self) -> int:
        return self.num

    def __iter__(self) -> Iterator[Call]:
        yield from self._interactive
        yield from self._bulk

    @property
    def nums(self) -> tuple[int, int]:
        """How many wait in the interactive and in the bulk lane."""
        return self._interactive.num, self._bulk.num

    def _lane(self, call: Call) -> Lane:
        return self._bulk if call.flags & Flag.BULK else self._interactive

    def has(self, method: int) -> bool:
        """Whether a call of this method waits."""
        return self._interactive.line(method) is not None or self._bulk.line(method) is not None

    def methods(self) -> list[int]:
        """Methods of which calls wait."""
        return list(dict.fromkeys(self._interactive.methods() + self._bulk.methods()))

    def num_before(self, call: Call) -> int:
        """How many calls of its method go before a new one."""
        line = self._lane(call).line(call.method)
        return 0 if line is None else line.num_before(call.key[0])

    def add(self, call: Call, *, is_back: bool = False) -> None:
        """Queue a call; one that is back from a worker stands before those that never left."""
        self._lane(call).add(call, is_back=is_back)
        self.num += 1
        self.num_bytes += call.size

    def remove(self, call: Call) -> None:
        """Take a call out, wherever it stands."""
        self._lane(call).remove(call)
        self.num -= 1
        self.num_bytes -= call.size

    def take(self, worker: Worker) -> Call | None:
        """The next call for a worker: every fifth from the bulk lane while both have one."""
        if worker.num_passed >= INTERACTIVE_PER_BULK:
            call = self._bulk.take(worker) or self._interactive.take(worker)
        else:
            call = self._interactive.take(worker) or self._bulk.take(worker)
        if call is None:
            return None
        self.num -= 1
        self.num_bytes -= call.size
        if call.flags & Flag.BULK:
            worker.num_passed = 0
        elif self._bulk.num:
            worker.num_passed += 1
        return call
