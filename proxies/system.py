"""What a proxy answers itself, without its queue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clients.errors import Forbidden, UnknownMethod
from clients.frames import Buffer
from clients.packing import pack, unpack
from clients.status import ServiceStats, ServiceStatus
from clients.system import DESCRIBE, DRAIN, ECHO, FOR_ADMINS, HEALTH, LOST, STATS, Description, Health, Lost
from clients.wire import Envelope, Kind, Method, Nothing, decode, message, payload_of

ADMIN_KEYS = frozenset(method.key for method in FOR_ADMINS)
AnyMethod = Method[Any, Any, Any]


class System:
    """The built-in methods of one proxy.

    Args:
        health: how the proxy is.
        describe: what can be called.
        status: the service as it sees it.
        stats: what it has counted.
        drain: makes it leave.
        lose: told of a worker's process that has ended.
    """

    def __init__(
        self,
        health: Callable[[], Health],
        describe: Callable[[], Description],
        status: Callable[[], ServiceStatus],
        stats: Callable[[], ServiceStats],
        drain: Callable[[], None],
        lose: Callable[[Lost], None],
    ) -> None:
        self._status = status
        self._answers: dict[int, tuple[AnyMethod, Callable[[Any], object]]] = {
            HEALTH.key: (HEALTH, lambda _: health()),
            DESCRIBE.key: (DESCRIBE, lambda _: describe()),
            STATS.key: (STATS, lambda _: stats()),
            ECHO.key: (ECHO, lambda request: request),
            DRAIN.key: (DRAIN, lambda _: drain()),
            LOST.key: (LOST, lose),
        }

    def __contains__(self, method: int) -> bool:
        """Whether it is a built-in method."""
        return method in self._answers

    def status(self, call_id: int) -> list[Buffer]:
        """The reply to a STATUS."""
        return message(Envelope(Kind.REPLY, call_id), pack(self._status()))

    def answer(self, frames: list[Any], *, is_admin: bool) -> list[Buffer]:
        """The reply to a call.

        Raises:
            Forbidden: only an administrator may call it.
            UnknownMethod: it is not built in.
            BadRequest: the request cannot be read.
        """
        envelope = decode(frames[0])
        method, answer = self._known(envelope.method)
        if method.key in ADMIN_KEYS and not is_admin:
            raise Forbidden(
                f"{method.name} is for administrators",
                help="call it at the proxy's control socket, or with the key of an administrator",
            )
        request = unpack(method.request, payload_of(envelope, frames[1:]))
        return message(Envelope(Kind.REPLY, envelope.id), pack(answer(request) or Nothing()))

    def _known(self, method: int) -> tuple[AnyMethod, Callable[[Any], object]]:
        if method not in self._answers:
            raise UnknownMethod("this socket answers only built-in methods", help="call the others at the front")
        return self._answers[method]
