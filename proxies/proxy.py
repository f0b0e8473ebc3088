"""How calls and answers pass between the clients and the workers of one service."""

from __future__ import annotations

import signal
import struct
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import Any

import zmq

from clients import sockets
from clients.config import Config, Endpoint, Pair
from clients.errors import BadRequest, ConfigError, Forbidden, RagqError, TooLarge
from clients.packing import MAX_UNARY, pack, pack_map, unpack_map
from clients.reading import read
from clients.status import ServiceStatus
from clients.wire import (
    DEFAULT_TTL_MS,
    HEADER,
    MAX_META,
    TERMINAL,
    Beat,
    Envelope,
    Flag,
    Header,
    Kind,
    Ready,
    decode,
    failure_envelope,
    message,
    method_key,
    peek,
    told,
)
from proxies.access import Access
from proxies.actions import CancelAt, Dispatch, Fail, Reset
from proxies.dispatch import Dispatcher
from proxies.gate import Gate
from proxies.guard import Guard
from proxies.parties import Call
from proxies.report import report

LEGACY_METHOD = method_key("_legacy")
ROUTE_MS = struct.Struct("<I")
MAX_BURST = 100
MAX_CALL_BYTES = HEADER.size + MAX_META + MAX_UNARY
DRAIN_TIMEOUT_S = 30.0
WATCH_S = 1.0
LEGACY_TTL_S = 60.0
PROBE = Envelope(Kind.PING, 0).encode()


class Proxy:
    """Two ROUTERs and a dispatcher; one thread."""

    def __init__(self, service: str, front: str, back: str, gate: Gate | None = None) -> None:
        self.service = service
        self._gate = gate
        self._guard = Guard(service, gate.access if gate else Access.open())
        self._front = sockets.router(front, secret_key=gate.front.secret if gate else "", domain="clients")
        try:
            self._back = sockets.router(back, secret_key=gate.back.secret if gate else "", domain="workers")
        except RagqError:
            self._front.close()
            raise
        self._front_lost = sockets.disconnections(self._front)
        self._back_lost = sockets.disconnections(self._back)
        self._dispatcher = Dispatcher(time.monotonic())
        self._started = time.monotonic()
        self._legacy_ids = 0
        self._stop_by: float | None = None
        self._watch_until = 0.0
        self._wake = sockets.Wake()

    def stop(self) -> None:
        """Drain: refuse new calls, let the ones under way end; a second time: at once."""
        now = time.monotonic()
        self._stop_by = now if self._stop_by is not None else now + DRAIN_TIMEOUT_S
        self._dispatcher.drain()
        self._wake.set()

    def status(self) -> ServiceStatus:
        """The service as this proxy sees it."""
        return report(self.service, self._dispatcher, self._started, time.monotonic())

    def run(self) -> None:
        """Serve until stopped and drained."""
        poller = zmq.Poller()
        gates = [self._gate.socket] if self._gate else []
        for source in (self._front, self._back, self._front_lost, self._back_lost, self._wake.reader, *gates):
            poller.register(source, zmq.POLLIN)
        try:
            while not self._is_over():
                now = time.monotonic()
                pause_s = self._dispatcher.next_timer(now)
                if self._stop_by is not None or now < self._watch_until:
                    pause_s = min(pause_s, 0.05)
                self._turn(dict(poller.poll(int(pause_s * 1000) + 1)))
        finally:
            self._close()

    def _is_over(self) -> bool:
        if self._stop_by is None:
            return False
        waiting_for = [c for c in self._dispatcher.calls.values() if not c.is_answered]
        return not waiting_for or time.monotonic() >= self._stop_by

    def _turn(self, ready: dict[Any, int]) -> None:
        if self._wake.reader in ready:
            self._wake.clear()
        if self._gate:
            self._keep(self._gate)
        if self._back in ready:
            self._drain(self._back, self._from_worker)
        if self._front in ready:
            self._drain(self._front, self._from_client)
        if self._back_lost in ready or self._front_lost in ready:
            self._look_for_losses()
        elif time.monotonic() < self._watch_until:
            self._sweep()
        self._dispatcher.tick(time.monotonic())
        self._act()

    def _keep(self, gate: Gate) -> None:
        """Let in who may come, and let go of workers whose key was revoked."""
        now = time.monotonic()
        if gate.refresh(now):
            for worker in self._guard.change(gate.access, self._dispatcher.workers):
                self._dispatcher.gone(worker, now)
        gate.answer(now)

    def _drain(self, socket: zmq.Socket[bytes], handle: Any) -> bool:
        """Handle a burst of messages; whether there may be more."""
        for _ in range(MAX_BURST):
            try:
                frames, principal = sockets.received(socket) if self._gate else (socket.recv_multipart(zmq.NOBLOCK), "")
            except zmq.Again:
                return False
            handle(frames, principal)
            self._act()
        return True

    # -- from clients --------------------------------------------------------------------------

    def _from_client(self, frames: list[Any], principal: str) -> None:
        client = frames[0]
        if len(frames) < 2:
            return
        if frames[1] == b"":
            self._legacy_call(client, frames[2:], principal)
            return
        try:
            header = peek(frames[1])
            self._guard.check_client(principal)
            if header.kind == Kind.CALL:
                self._guard.check_call(principal, header.method)
            self._from_peer(client, header, frames[1:])
        except RagqError as error:
            call_id = HEADER.unpack_from(frames[1])[6] if len(frames[1]) >= HEADER.size else 0
            self._to_client(client, [failure_envelope(call_id, error, "proxy").encode()])

    def _from_peer(self, client: bytes, header: Header, frames: list[Any]) -> None:
        match header.kind:
            case Kind.CALL:
                self._new_call(client, header, frames)
            case Kind.CANCEL:
                self._dispatcher.cancel((client, header.id))
            case Kind.CREDIT:
                self._credit((client, header.id), frames)
            case Kind.STATUS:
                self._to_client(client, message(Envelope(Kind.REPLY, header.id), pack(self.status())))
            case _:
                raise BadRequest(f"a client does not send messages of kind {header.kind}")

    def _new_call(self, client: bytes, header: Header, frames: list[Any]) -> None:
        if len(frames) - 1 != header.counts >> 24:
            raise BadRequest(f"{header.counts >> 24} buffers were announced, {len(frames) - 1} came")
        now = time.monotonic()
        ttl_s = (header.ttl_ms or DEFAULT_TTL_MS) / 1000
        size = sum(map(len, frames))
        if size > MAX_CALL_BYTES:
            raise TooLarge(f"a call of {size >> 10} KiB; the limit is {MAX_UNARY >> 10} KiB", help="send it in parts")
        self._dispatcher.call(
            Call((client, header.id), header.method, header.flags, frames, now, now + ttl_s, size), now
        )

    def _credit(self, key: tuple[bytes, int], frames: list[Any]) -> None:
        call = self._dispatcher.calls.get(key)
        if call is not None and call.worker is not None:
            self._to_worker(call.worker.id, _route(key[0], 0), frames)

    def _legacy_call(self, client: bytes, frames: list[Any], principal: str) -> None:
        self._legacy_ids += 1
        now = time.monotonic()
        envelope = Envelope(Kind.CALL, self._legacy_ids, flags=Flag.LEGACY, method=LEGACY_METHOD, num_buffers=1)
        call = Call(
            (client, self._legacy_ids), LEGACY_METHOD, Flag.LEGACY, [envelope.encode(), *frames],
            now, now + LEGACY_TTL_S, sum(map(len, frames)), is_legacy=True,
        )  # fmt: skip
        try:
            self._guard.check_call(principal, LEGACY_METHOD)
            if len(frames) != 1:
                raise BadRequest(f"a request is one frame with one msgpack map; {len(frames)} frames came")
            self._dispatcher.call(call, now)
        except RagqError as error:
            self._fail(call, error)

    # -- from workers --------------------------------------------------------------------------

    def _from_worker(self, frames: list[Any], principal: str) -> None:
        worker, now = frames[0], time.monotonic()
        if len(frames) < 3:
            return
        try:
            header = peek(frames[2])
            if frames[1]:
                self._answer(worker, frames[1], header, frames[2:], now)
            else:
                self._control(worker, decode(frames[2]), principal, now)
        except Forbidden as error:
            self._to_worker(worker, b"", [failure_envelope(0, error, "proxy").encode()])
        except RagqError:
            self._to_worker(worker, b"", [Envelope(Kind.RESET, 0).encode()])

    def _answer(self, worker: bytes, route: bytes, header: Header, frames: list[Any], now: float) -> None:
        key = (route[: -ROUTE_MS.size], header.id)
        if header.kind == Kind.CHUNK:
            if self._dispatcher.chunk(worker, key) and not self._to_client(key[0], frames):
                self._dispatcher.cancel(key)
        elif header.kind in TERMINAL:
            call = self._dispatcher.replied(worker, key, now, failed=header.kind == Kind.ERROR)
            if call is not None:
                self._deliver(call, frames)

    def _deliver(self, call: Call, frames: list[Any]) -> None:
        if not call.is_legacy:
            self._to_client(call.key[0], frames)
            return
        self._to_client(call.key[0], [b"", *frames[1:]])

    def _control(self, worker: bytes, envelope: Envelope, principal: str, now: float) -> None:
        match envelope.kind:
            case Kind.READY:
                self._guard.admit(worker, principal)
                ready = read(Ready, unpack_map(envelope.body))
                methods = frozenset(map(method_key, ready.methods)) | {LEGACY_METHOD}
                self._dispatcher.ready(worker, ready, methods, now)
            case Kind.BEAT:
                beat = read(Beat, unpack_map(envelope.body))
                held = frozenset((route[: -ROUTE_MS.size], call_id) for route, call_id in beat.running)
                self._dispatcher.beat(worker, beat, held, now)
            case Kind.DRAIN:
                self._dispatcher.drain_worker(worker)
                self._act()
                self._to_worker(worker, b"", [Envelope(Kind.DRAIN, 0).encode()])
            case Kind.BYE:
                self._dispatcher.gone(worker, now)

    # -- out -----------------------------------------------------------------------------------

    def _act(self) -> None:
        for action in self._dispatcher.actions():
            match action:
                case Dispatch(call, worker, waited_ms):
                    if not self._to_worker(worker, _route(call.key[0], waited_ms), call.frames):
                        self._dispatcher.undelivered(call, worker, time.monotonic())
                case Fail(call, error):
                    self._fail(call, error)
                case CancelAt(worker, (client, call_id)):
                    self._to_worker(worker, _route(client, 0), [Envelope(Kind.CANCEL, call_id).encode()])
                case Reset(worker):
                    self._to_worker(worker, b"", [Envelope(Kind.RESET, 0).encode()])

    def _fail(self, call: Call, error: RagqError) -> None:
        if call.is_legacy:
            reply = pack_map({"code": 400, "error": told(error)})
            self._to_client(call.key[0], [b"", reply])
        else:
            self._to_client(call.key[0], [failure_envelope(call.key[1], error, "proxy").encode()])

    def _to_client(self, client: bytes, frames: list[Any]) -> bool:
        return _send(self._front, [client, *frames])

    def _to_worker(self, worker: bytes, route: bytes, frames: list[Any]) -> bool:
        return _send(self._back, [worker, route, *frames])

    # -- who is still there --------------------------------------------------------------------

    def _look_for_losses(self) -> None:
        """A peer was lost; the event may come before the socket knows which one, so look again for a while."""
        _empty(self._back_lost)
        _empty(self._front_lost)
        self._watch_until = time.monotonic() + WATCH_S
        self._sweep()

    def _sweep(self) -> None:
        while self._drain(self._back, self._from_worker):  # a reply that is here already counts
            pass
        for worker in list(self._dispatcher.workers):
            if not self._to_worker(worker, b"", [PROBE]):
                self._dispatcher.gone(worker, time.monotonic())
        for client in {c.key[0] for c in self._dispatcher.calls.values() if not c.is_legacy}:
            if not self._to_client(client, [PROBE]):
                self._dispatcher.client_gone(client)

    def _close(self) -> None:
        self._dispatcher.abandon()
        self._act()
        sockets.close_monitored(self._front, self._front_lost)
        sockets.close_monitored(self._back, self._back_lost)
        self._wake.close()
        if self._gate:
            self._gate.close()

    def look_at_keys(self) -> None:
        """Read the list of those who may come at once; safe in a signal handler."""
        if self._gate:
            self._gate.look_again()
            self._wake.set()


def _route(client: bytes, waited_ms: int) -> bytes:
    return client + ROUTE_MS.pack(min(waited_ms, 0xFFFFFFFF))


def _send(socket: zmq.Socket[bytes], frames: list[Any]) -> bool:
    """Whether the peer took it; a peer that is gone, or reads too slowly, did not."""
    try:
        socket.send_multipart(frames, zmq.NOBLOCK)
    except zmq.ZMQError as error:
        if error.errno in (zmq.EHOSTUNREACH, zmq.EAGAIN):
            return False
        raise
    return True


def _empty(monitor: zmq.Socket[bytes]) -> None:
    while monitor.poll(0):
        monitor.recv_multipart()


def run(config: Config, service: str, number: int = 0) -> int:
    """Run a proxy of a service in the foreground until SIGTERM or SIGINT, which drain it.

    Args:
        config: names the service's pairs of endpoints.
        service: whose proxy it is.
        number: of the pair that it binds.

    Raises:
        ConfigError: an endpoint that other machines reach, without keys or ``insecure: true``; keys that are absent or
            open to others; no such number.
        PortBusy: another process listens there.
    """
    pair = _pair(config, service, number)
    for endpoint in (pair.front_end, pair.back_end):
        _refuse_open_bind(endpoint, insecure=config.insecure or config.security.enabled)
    gate = Gate(config.keys_folder) if config.security.enabled else None
    proxy = Proxy(service, pair.front_end.address, pair.back_end.address, gate)

    def reread(_signal: int, _frame: FrameType | None) -> None:
        proxy.look_at_keys()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        proxy.stop()

    with suppress(ValueError):  # signals belong to the main thread; a test may run a proxy in another
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        if gate:
            signal.signal(signal.SIGHUP, reread)
    proxy.run()
    if threading.current_thread() is threading.main_thread():
        sockets.finish()
    return 0


def _pair(config: Config, service: str, number: int) -> Pair:
    pairs = config.service(service).pairs
    if number >= len(pairs):
        raise ConfigError(
            f"{service} has no proxy {number}; its numbers end at {len(pairs) - 1}",
            help=f"each entry under '{service}.proxies' adds one",
        )
    return pairs[number]


def _refuse_open_bind(endpoint: Endpoint, *, insecure: bool) -> None:
    if not (endpoint.is_local or insecure):
        raise ConfigError(
            f"{endpoint.address} can be reached from other machines, and the mesh has no keys",
            help="'security.enabled: true' gives it keys; or bind 127.0.0.1, or accept the risk with 'insecure: true'",
        )
