"""How a program calls one service: many calls in flight from any thread, over the sockets of one thread."""

from __future__ import annotations

import os
import queue
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Literal, Self, TypeVar, cast

from .config import Config
from .errors import BadRequest, ConfigError
from .flow import Input
from .keys import Credential, credential_of
from .link import Link
from .packing import Payload, pack, unpack
from .pending import Pending, asking_status, outcome, pending
from .status import ServiceStatus
from .stream import Feeder, Stream
from .waiter import give_up_at, waiting
from .wire import Flag, Method, Nothing, to_ms

__all__ = ["Client", "ServiceStatus", "Stream", "connect"]

Q = TypeVar("Q")
R = TypeVar("R")
E = TypeVar("E")
STREAM_TIMEOUT_S = 600.0
IDLE_S = 60.0
IN_FLIGHT = 4


class Client:
    """A connection to one service, over one proxy or several equal ones.

    A call goes to the proxy with the fewest own calls. When one dies, its unfinished idempotent calls
    go to another; the others end with ConnectionLost.

    Args:
        address: of the service's fronts: ``tcp://127.0.0.1:7781``, several as a list or with commas.
        timeout_s: seconds for a call that names none.
        credential: who this program is, in a mesh with keys.
        bulk: nobody waits for these calls at a screen; others go first.
    """

    def __init__(
        self,
        address: str | Sequence[str],
        *,
        timeout_s: float = 30.0,
        credential: Credential | None = None,
        bulk: bool = False,
    ) -> None:
        self.addresses = some_fronts(address)
        self.timeout_s = timeout_s
        self.credential = credential
        self._flags = int(Flag.BULK) if bulk else 0
        self._lock = threading.Lock()
        self._link: Link | None = None
        _clients.add(self)

    @property
    def address(self) -> str:
        """Where its proxies are, as text."""
        return ",".join(self.addresses)

    def call(self, method: Method[Q, R, Any], request: Q, *, timeout_s: float | None = None) -> R:
        """Call a method and wait for its reply.

        A call that is certain not to have run, or that may run twice, is tried again when it meets a
        retryable error, at most three times within its timeout.

        Raises:
            RagqError: what the service reports, DeadlineExceeded, Unreachable or ConnectionLost.
        """
        call = pending(method, pack(request), deadline_after(timeout_s, self.timeout_s), flags=self._flags)
        return unpack(method.reply, self._wait(call))

    def call_many(
        self,
        method: Method[Q, R, Any],
        requests: Sequence[Q],
        *,
        on_reply: Callable[[int, R], object] | None = None,
        timeout_s: float | None = None,
    ) -> list[R]:
        """Call a method with many requests, a few in flight at a time; replies in the order given.

        ``on_reply`` is called in this thread with the number of a request and its reply, in the order in
        which they come; what it raises cancels the rest.
        """
        ended: queue.SimpleQueue[int] = queue.SimpleQueue()
        calls: list[Pending] = []
        replies: list[R | None] = [None] * len(requests)
        link = self.link()

        def start() -> None:
            if len(calls) < len(requests):
                deadline = deadline_after(timeout_s, self.timeout_s)
                call = pending(method, pack(requests[len(calls)]), deadline, flags=self._flags)
                call.ended = partial(ended.put, len(calls))
                calls.append(call)
                link.submit(call)

        def cancel() -> None:
            for call in calls:
                link.cancel(call)

        try:
            for _ in range(IN_FLIGHT):
                start()
            for _ in requests:
                with waiting(cancel):
                    number = ended.get()
                reply = replies[number] = unpack(method.reply, outcome(calls[number]))
                start()
                if on_reply is not None:
                    on_reply(number, reply)
        finally:
            cancel()
        return cast("list[R]", replies)

    def stream(
        self,
        method: Method[Q, R, E],
        request: Q,
        *,
        input: Iterable[object] | None = None,  # noqa: A002 - what the method declares under this name
        timeout_s: float | None = None,
        idle_s: float = IDLE_S,
    ) -> Stream[R, E]:
        """Call a streaming method; iterate over its events, then read ``reply``.

        The chunks of a method that takes some come from ``input`` as the worker has room for them, in a
        thread of their own; what it raises ends the call, and is raised here. The call also ends when
        nothing happens for ``idle_s``.
        """
        deadline = deadline_after(timeout_s, STREAM_TIMEOUT_S)
        call = streaming(method, request, deadline, flags=self._flags, has_input=input is not None)
        link = self.link()
        stream = Stream(link, method, call, idle_s)
        if input is not None:
            Feeder(link, call, input).start()
        return stream

    def status(self, timeout_s: float = 2.0) -> ServiceStatus:
        """What a proxy says of its service; it answers also when its queue is full."""
        return unpack(ServiceStatus, self._wait(asking_status(deadline_after(timeout_s, 0.0))))

    def close(self) -> None:
        """End every call as cancelled, and let go of the sockets."""
        with self._lock:
            link, self._link = self._link, None
        if link is not None and link.pid == os.getpid():
            link.close()

    def link(self) -> Link:
        """The thread that owns the sockets, started by the first call."""
        link = self._link
        if link is not None and link.is_alive():
            return link
        with self._lock:
            if self._link is None or not self._link.is_alive():
                self._link = Link(self.addresses, self.credential)
            return self._link

    def _wait(self, call: Pending) -> Payload:
        done = threading.Lock()  # the cheapest thing that one thread can wait on and another end
        done.acquire()
        call.ended = done.release
        link = self.link()
        link.submit(call)
        cancel = partial(link.cancel, call)
        try:
            with waiting(cancel):
                done.acquire()
        except BaseException:
            cancel()
            raise
        return outcome(call)

    def forked(self) -> None:
        """This is a child process now: the link belongs to the parent, and nothing of it is touched."""
        self._lock = threading.Lock()
        if self._link is not None:
            _inherited.append(self._link)
            self._link = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connect(
    config: Config,
    service: str,
    *,
    timeout_s: float = 30.0,
    bulk: bool = False,
    use: Literal["client", "worker"] = "client",
) -> Client:
    """A client of a service as the configuration says: all its proxies, and this machine's credential.

    A service that calls another one has the credential of the worker that it runs in: ``use="worker"``.
    """
    fronts = config.service(service).fronts
    return Client(fronts, timeout_s=timeout_s, credential=credential_of(config, use), bulk=bulk)


def fronts_of(given: str | Sequence[str]) -> list[str]:
    """The addresses in a list, or in a text with commas, each once."""
    listed = given.split(",") if isinstance(given, str) else given
    return list(dict.fromkeys(address.strip() for address in listed if address.strip()))


def some_fronts(given: str | Sequence[str]) -> list[str]:
    """The same; ConfigError when there is none."""
    fronts = fronts_of(given)
    if not fronts:
        raise ConfigError("a client needs an address", help="such as tcp://127.0.0.1:7781")
    return fronts


def streaming(method: Method[Q, Any, Any], request: Q, deadline: float, *, flags: int, has_input: bool) -> Pending:
    """A call of a streaming method; BadRequest when it does not stream as it is asked to."""
    if has_input == (method.input is Nothing):
        raise BadRequest(f"{method.name} takes {'no chunks' if has_input else 'chunks: name an input'}")
    if not has_input and method.event is Nothing:
        raise BadRequest(f"{method.name} does not stream")
    return pending(
        method, pack(request), deadline, flags=flags,
        streams=method.event is not Nothing, input=Input() if has_input else None,
    )  # fmt: skip


def deadline_after(timeout_s: float | None, default_s: float) -> float:
    """The moment at which the time for a call is over: a day at most, and never later than its own caller waits."""
    deadline = time.monotonic() + to_ms(default_s if timeout_s is None else timeout_s) / 1000
    return min(deadline, give_up_at.get())


_clients: weakref.WeakSet[Client] = weakref.WeakSet()
_inherited: list[Link] = []


def _forked() -> None:
    for client in list(_clients):
        client.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
