"""How a call that came in becomes a handler's result, and every failure an error from the tree."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

from clients.errors import BackendError, BadRequest, Internal, RagqError, UnknownMethod
from clients.packing import Payload, pack, pack_map, unpack, unpack_map
from clients.wire import Envelope, Method, Nothing, payload_of, told
from services import legacy
from services.service import Call, Handler, Service

log = logging.getLogger("ragq.worker")
Emit = Callable[[object], None]


class Handling:
    """The methods of a service, by the number that stands for each on the wire."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._name = service.name
        self._by_key: dict[int, tuple[Method[Any, Any, Any], Handler]] = {}
        self._by_name: dict[str, tuple[Method[Any, Any, Any], Handler]] = {}
        self.renew()

    def renew(self) -> None:
        """Ask the service again what it serves; calls under way end as they began."""
        handlers = self._service.handlers()
        self._by_key = {m.key: (m, h) for m, h in handlers.items()}
        self._by_name = {m.name: (m, h) for m, h in handlers.items()}

    @property
    def names(self) -> list[str]:
        """Every method's name."""
        return sorted(self._by_name)

    def name_of(self, key: int) -> str:
        """The name of the method that a number stands for."""
        return self._by_key[key][0].name if key in self._by_key else f"{key:#010x}"

    def serve(self, envelope: Envelope, buffers: list[Any], call: Call, emit: Emit) -> Payload:
        """The reply to a call, packed; raises from the error tree only."""
        entry = self._by_key.get(envelope.method)
        if entry is None:
            raise UnknownMethod(f"{self._name} serves no method {envelope.method:#010x}")
        method, handler = entry
        with _guarded(method.name):
            call.check()
            request = unpack(method.request, payload_of(envelope, buffers))
            if method.input is not Nothing:
                call.input = map(partial(unpack, method.input), call.input)
            return _packed(_run(handler, request, call, emit))

    def note(self) -> str:
        """The service's line about itself; a note that fails says so, and the worker goes on."""
        try:
            with _guarded("note"):
                return told(self._service.note())
        except RagqError as error:
            return error.message

    def legacy(self, raw: bytes, call: Call) -> bytes:
        """The reply map of the older mesh to its request map; failures are ``code`` 400."""
        try:
            with _guarded("legacy"):
                request = unpack_map(raw, len(raw))
                value = legacy.answer(self._name, request, lambda name, message: self._by_command(name, message, call))
                return pack_map({"code": 200, "value": value})
        except RagqError as error:
            return pack_map({"code": 400, "error": told(error)})

    def _by_command(self, name: str, request: object, call: Call) -> Any:
        if name not in self._by_name:
            raise UnknownMethod(f"{self._name} does not serve {name}")
        call.check()
        return _run(self._by_name[name][1], request, call, lambda _event: None)


def _run(handler: Handler, request: object, call: Call, emit: Emit) -> Any:
    outcome: Any = handler(request, call)
    return _drain(outcome, emit) if isinstance(outcome, Generator) else outcome


def _packed(reply: object) -> Payload:
    try:
        return pack(reply)
    except BadRequest as error:
        raise TypeError(error.message) from error  # the handler's defect, not the caller's


def _drain(events: Generator[object, None, Any], emit: Emit) -> Any:
    try:
        while True:
            try:
                event = next(events)
            except StopIteration as end:
                return end.value
            emit(event)
    finally:
        events.close()


class _guarded:  # noqa: N801 - reads as a verb: with _guarded(name)
    """Lets errors of the tree pass; any other exception becomes Internal with an id that stands in the log."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if error is None or isinstance(error, RagqError):
            return
        if isinstance(error, MemoryError):
            raise BackendError(
                f"{self._name}: out of memory", help="send less at a time, or use a smaller model"
            ) from error
        mark = uuid.uuid4().hex[:8]
        log.error("%s failed [%s]", self._name, mark, exc_info=error)
        raise Internal(
            f"{self._name} failed: {type(error).__name__} [{mark}]",
            help=f"the service's log has the details under {mark}",
        ) from error
