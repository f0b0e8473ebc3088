"""Which embedding models are loaded beside the present one, for the calls that name them?

Vectors of two models do not mix, so a collection is searched by the model that made its vectors, whichever serves now.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from clients.config import Model
from clients.errors import ConfigError, MissingExtra, ModelNotLoaded, NotFound, RagqError
from clients.wire import Clock
from services.service import Call

from .embedding import Embedding
from .role import Loader
from .seat import Held, Seat
from .tally import Tally

IDLE_S = 600.0
log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Place:
    """A model that was asked for, from then until it is let go."""

    name: str
    seat: Seat[Embedding]
    used_at: float
    error: RagqError | None = None


class Beside:
    """Models that are loaded when a call names them and let go when nobody did for ten minutes.

    Args:
        find: what to load for a name; NotFound when there is no such model here.
        loader: loads it, and finds out whether there is room.
        limit: how many may be loaded at a time; the one that was used least lately makes room for another.
        clock: seconds, rising.
    """

    def __init__(self, find: Callable[[str], Model], loader: Loader[Embedding], limit: int, clock: Clock) -> None:
        self._find = find
        self._loader = loader
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        self._places: dict[str, Place] = {}
        self._past = Tally()
        self._num_past_calls = 0
        self._is_closed = False

    @contextmanager
    def lend(self, name: str, call: Call) -> Iterator[Embedding]:
        """A model by its name, for as long as the caller needs it; waits while it is being loaded.

        Raises:
            NotFound: there is no such embedding model on this machine.
            ModelNotLoaded: there is, and it cannot be loaded; says why.
            Cancelled, DeadlineExceeded: nobody waits any more; it is loaded all the same.
        """
        place, held = self._take(name, call)
        try:
            yield held.model
        finally:
            place.used_at = self._clock()
            place.seat.give_back(held)

    @property
    def loaded(self) -> list[Embedding]:
        """The models that are loaded now."""
        with self._lock:
            return [place.seat.held.model for place in self._places.values() if place.seat.held]

    @property
    def is_busy(self) -> bool:
        """Whether one of them works, or has work to do."""
        with self._lock:
            return any(place.seat.held is not None and place.seat.held.is_busy for place in self._places.values())

    @property
    def tally(self) -> Tally:
        """What all of them have done."""
        with self._lock:
            return sum((place.seat.tally for place in self._places.values()), self._past)

    @property
    def num_calls(self) -> int:
        """How often one was taken."""
        with self._lock:
            return self._num_past_calls + sum(place.seat.num_calls for place in self._places.values())

    def sweep(self) -> None:
        """Let go of what nobody used for ten minutes."""
        now = self._clock()
        with self._lock:
            idle = [
                place for place in self._places.values()
                if place.seat.held and not place.seat.held.num_calls and now - place.used_at > IDLE_S
            ]  # fmt: skip
        for place in idle:
            log.info("the model %s was not used for %.0f minutes and is let go", place.name, IDLE_S / 60)
            place.seat.put(None)
            self._remove(place)

    def close(self) -> None:
        """Let go of all of them; calls under way get an error from theirs."""
        with self._lock:
            self._is_closed = True
            places, self._places = list(self._places.values()), {}
        for place in places:
            place.error = place.error or ModelNotLoaded(f"'{place.name}' was put away", help="try again")
            place.seat.close()

    def _take(self, name: str, call: Call) -> tuple[Place, Held[Embedding]]:
        while True:
            place = self._place(name)
            place.seat.wait(partial(self._is_decided, place), call)
            held = place.seat.take()
            if held is not None:
                return place, held
            if place.error is not None:
                raise place.error
            call.check()

    def _place(self, name: str) -> Place:
        """Where the model sits or will sit; its loading begins with the first call for it."""
        with self._lock:
            place = self._places.get(name)
            if self._is_closed:
                raise ModelNotLoaded(f"'{name}' was put away", help="try again")
            if place is not None:
                place.used_at = self._clock()
                return place
            settings = self._find(name)
            if self._limit < 1:
                raise ModelNotLoaded(
                    f"'{name}' is not loaded, and no model may be loaded beside the present one",
                    help="set llm.side_models to 1 or more, or load it with ragq models reload",
                )
            place = self._places[name] = Place(name, Seat(name), self._clock())
        threading.Thread(target=self._fill, args=(place, settings), name=f"load-{name}", daemon=True).start()
        return place

    def _is_decided(self, place: Place) -> bool:
        return place.seat.held is not None or place.error is not None or self._places.get(place.name) is not place

    def _fill(self, place: Place, settings: Model) -> None:
        """Load a model; one at a time, after others have made room."""
        with self._loading:
            try:
                self._make_room(place)
                place.seat.put(self._load(place.name, settings))
                log.info("the model %s is loaded beside the present one", place.name)
            except RagqError as failure:
                log.warning("%s: %s", place.name, failure.message)
                place.error = failure
                self._remove(place)

    def _make_room(self, new: Place) -> None:
        """Let go of what was used least lately, behind its last call, until there is a place for another."""
        while True:
            with self._lock:
                others = [place for place in self._places.values() if place is not new and place.seat.held is not None]
                if len(others) < self._limit:
                    return
                oldest = min(others, key=lambda place: place.used_at)
            oldest.seat.take_out(None)
            self._remove(oldest)

    def _load(self, name: str, settings: Model) -> Held[Embedding]:
        try:
            num_bytes = self._loader.measure(settings, None, goes=False)
            model = self._loader.load(settings)
        except (NotFound, ModelNotLoaded):
            raise
        except (ConfigError, MissingExtra, RagqError) as error:
            raise ModelNotLoaded(f"'{name}' cannot be loaded: {error.message}", help=error.help) from error
        except Exception as error:  # a runtime that is broken must not leave callers waiting
            log.exception("loading %s failed", name)
            raise ModelNotLoaded(f"loading '{name}' failed: {error}", help="ragq doctor") from error
        return Held(model, settings, num_bytes)

    def _remove(self, place: Place) -> None:
        with self._lock:
            if self._places.get(place.name) is place:
                del self._places[place.name]
                self._past += place.seat.tally.done
                self._num_past_calls += place.seat.num_calls
        place.seat.tell()
