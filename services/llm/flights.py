"""How do texts and pairs of many calls go through one model: remembered, once each, together, on few streams.

What a call asks for is looked up in a cache. What is missing becomes a flight, unless one for the same
thing is under way already. Flights wait in the batcher; each stream takes the next batch when it falls free.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from clients.errors import BackendError, ModelNotLoaded, RagqError
from services.service import Call

from .batching import Batcher, Waiting
from .cache import Cache, Result
from .tally import Tally

log = logging.getLogger(__name__)


class Cargo(Protocol):
    """A text or a pair, tokenised."""

    @property
    def num_tokens(self) -> int:
        """Tokens that a forward pass works on."""
        ...


class Carrier(Protocol):
    """What a model says of the passes that suit it."""

    num_streams: int
    max_waste_tokens: int
    budget_tokens: int


C = TypeVar("C", bound=Cargo)
R = TypeVar("R", bound=Result)


@dataclass(slots=True, eq=False)
class Passenger:
    """A call that waits for flights."""

    call: Call
    num_flights: int = 0
    error: RagqError | None = None
    has_left: bool = False
    news: threading.Event = field(default_factory=threading.Event)

    @property
    def waits(self) -> bool:
        """Whether it still wants what it asked for."""
        return not self.has_left and self.call.remaining_s > 0 and not self.call.cancelled.is_set()


@dataclass(slots=True, eq=False)
class Flight(Generic[C, R]):
    """A text or a pair on its way, and every call that asked for it."""

    key: bytes
    cargo: C
    cache: Cache[R]
    passengers: list[Passenger] = field(default_factory=list)
    result: R | None = None
    is_over: bool = False

    def is_wanted(self) -> bool:
        """Whether anybody still waits for it."""
        return not self.is_over and any(passenger.waits for passenger in self.passengers)

    def end(self, outcome: R | RagqError) -> None:
        """Tell everyone who waits; what comes second is not heard."""
        if self.is_over:
            return
        self.is_over = True
        error = outcome if isinstance(outcome, RagqError) else None
        self.result = None if isinstance(outcome, RagqError) else outcome
        for passenger in self.passengers:
            passenger.num_flights -= 1
            passenger.error = passenger.error or error
            if not passenger.num_flights or error:
                passenger.news.set()


def always() -> bool:
    """Yes."""
    return True


class Flights(Generic[C, R]):
    """The queue and the streams of one model; safe for any number of threads.

    Args:
        name: of the streams' threads, and in messages.
        carrier: the model.
        run: one forward pass: the results of a batch, or for single ones of it what went wrong; told whether
            nothing else waits or runs.
        group: only what has the same one goes through together.
        is_quiet: whether no other model of this process works; asked before a pass that would be alone.
    """

    def __init__(
        self,
        name: str,
        carrier: Carrier,
        run: Callable[[list[C], bool], Sequence[R | RagqError]],
        group: Callable[[C], Hashable],
        is_quiet: Callable[[], bool] = always,
    ) -> None:
        self._name, self._run, self._group, self._is_quiet = name, run, group, is_quiet
        self._flights: dict[bytes, Flight[C, R]] = {}
        self._batcher: Batcher[Flight[C, R]] = Batcher(carrier.max_waste_tokens, carrier.budget_tokens, self._forget)
        self._lock = threading.Lock()
        self._queued = threading.Condition(self._lock)
        self._owners = itertools.count()
        self._is_closed = False
        self._num_tokens = self._num_passes = self._num_running = 0
        self._threads = [
            threading.Thread(target=self._stream, name=f"{name}-{n}", daemon=True) for n in range(carrier.num_streams)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def tally(self) -> Tally:
        """What has gone through, and what waits."""
        with self._lock:
            return Tally(self._num_tokens, self._num_passes, len(self._batcher), self._num_running)

    def get(
        self,
        keys: Sequence[bytes],
        prepare: Callable[[list[int]], Sequence[C]],
        cache: Cache[R],
        call: Call,
        *,
        is_urgent: bool,
    ) -> list[R]:
        """Results in the order of the keys.

        Args:
            keys: what is asked for; equal keys stand for the same thing.
            prepare: tokenises what stands at these places of ``keys``.
            cache: where results are remembered.
            call: who asks.
            is_urgent: somebody looks at a screen for it.

        Raises:
            Cancelled, DeadlineExceeded: nobody waits any more.
            BackendError: the model failed.
            ModelNotLoaded: it was put away meanwhile.
        """
        call.check()
        with self._lock:
            known = {key: result for key in dict.fromkeys(keys) if (result := cache.get(key)) is not None}
        places = {key: place for place, key in enumerate(keys) if key not in known}
        if places:
            cargo = dict(zip(places, prepare(list(places.values())), strict=True))
            passenger = Passenger(call)
            flights = self._depart(cargo, cache, passenger, is_urgent=is_urgent)
            self._await(passenger)
            known |= {flight.key: flight.result for flight in flights if flight.result is not None}
        return [known[key] for key in keys]

    def close(self) -> None:
        """End the streams; calls that wait get an error."""
        with self._lock:
            self._is_closed = True
            for flight in self._flights.values():
                flight.end(self._closed())
            self._queued.notify_all()
        for thread in self._threads:
            thread.join()

    def _closed(self) -> ModelNotLoaded:
        return ModelNotLoaded(f"the model to {self._name} was put away", help="try again")

    def _depart(
        self, cargo: dict[bytes, C], cache: Cache[R], passenger: Passenger, *, is_urgent: bool
    ) -> list[Flight[C, R]]:
        """Join flights that are under way, start the others."""
        passenger.call.check()
        flights = []
        with self._lock:
            if self._is_closed:
                raise self._closed()
            owner = next(self._owners)
            for key, one in cargo.items():
                flight = self._flights.get(key)
                if flight is None:
                    flight = self._flights[key] = Flight(key, one, cache)
                    self._batcher.add(
                        [Waiting(flight, one.num_tokens, owner, is_urgent, flight.is_wanted, self._group(one))]
                    )
                flight.passengers.append(passenger)
                flights.append(flight)
            passenger.num_flights = len(flights)
            self._queued.notify(len(flights))
        return flights

    def _await(self, passenger: Passenger) -> None:
        call = passenger.call
        try:
            with call.cancelled.waits(passenger.news.set):
                while passenger.num_flights and not passenger.error:
                    call.check()
                    passenger.news.wait(call.remaining_s)
        finally:
            passenger.has_left = True
        if passenger.error:
            raise passenger.error

    def _forget(self, flight: Flight[C, R]) -> None:
        """Nobody wants it any more; the next call for the same starts afresh."""
        flight.is_over = True
        self._flights.pop(flight.key, None)

    def _stream(self) -> None:
        while flights := self._next():
            self._fly(*flights)

    def _next(self) -> tuple[list[Flight[C, R]], bool] | None:
        """The next batch, and whether it is alone; None when there is to be none."""
        with self._lock:
            while not (batch := self._batcher.take()):
                if self._is_closed:
                    return None
                self._queued.wait()
            is_alone = not self._num_running and not len(self._batcher)
            self._num_running += len(batch)
        return [waiting.payload for waiting in batch], is_alone

    def _fly(self, flights: list[Flight[C, R]], is_alone: bool) -> None:
        try:
            outcomes = self._run([flight.cargo for flight in flights], is_alone and self._is_quiet())
        except RagqError as error:
            outcomes = [error] * len(flights)
        except Exception as error:  # whatever a runtime raises, the calls that wait must hear of it
            log.exception("the model to %s failed", self._name)
            outcomes = [BackendError(f"the model to {self._name} failed: {error}")] * len(flights)
        self._land(flights, outcomes)

    def _land(self, flights: list[Flight[C, R]], outcomes: Sequence[R | RagqError]) -> None:
        with self._lock:
            self._num_passes += 1
            self._num_running -= len(flights)
            for flight, outcome in zip(flights, outcomes, strict=True):
                self._num_tokens += flight.cargo.num_tokens
                del self._flights[flight.key]
                if not isinstance(outcome, RagqError):
                    flight.cache.put(flight.key, outcome)
                flight.end(outcome)
