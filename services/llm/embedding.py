"""How do texts of many calls become vectors on few streams: cache, single flight, queue, threads."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from clients.errors import BackendError, ModelNotLoaded, RagqError
from clients.llm import Role
from services.models import Card
from services.service import Call

from .backends.base import Embedder, Prepared
from .batching import Batcher, Waiting
from .cache import Remembered, VectorCache, key_of

log = logging.getLogger(__name__)

CACHE_BYTES = 64 << 20
# How long a call that is no longer wanted may go unnoticed while its batch is computed.
CHECK_S = 0.1


@dataclass(slots=True, eq=False)
class Flight:
    """A text on its way; every call that asked for it waits for the same one."""

    key: bytes
    prepared: Prepared
    calls: list[Call] = field(default_factory=list)
    landed: Remembered | None = None
    error: RagqError | None = None

    def is_wanted(self) -> bool:
        """Whether anybody still waits for it."""
        return any(call.remaining_s > 0 and not call.cancelled.is_set() for call in self.calls)

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.landed is not None or self.error is not None


class Embedding:
    """An embedding model with its queue; safe for any number of threads.

    Args:
        embedder: the model.
        cache_bytes: memory for vectors of texts; the same again for vectors of tokens.
    """

    def __init__(self, embedder: Embedder, cache_bytes: int = CACHE_BYTES) -> None:
        self.embedder = embedder
        self._caches = {wants_tokens: VectorCache(cache_bytes) for wants_tokens in (False, True)}
        self._flights: dict[bytes, Flight] = {}
        self._batcher: Batcher[Flight] = Batcher(embedder.max_waste_tokens, on_drop=self._forget)
        self._changed = threading.Condition()
        self._owners = itertools.count()
        self._is_closed = False
        self.num_forwards = 0
        self._threads = [
            threading.Thread(target=self._stream, name=f"embed-{n}", daemon=True) for n in range(embedder.num_streams)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def card(self) -> Card:
        """The model's description."""
        return self.embedder.card

    def embed(self, texts: Sequence[str], role: Role, call: Call) -> tuple[np.ndarray, int]:
        """Vectors and the number of tokens.

        Returns:
            float32 [n, dim], L2-normalised, and the tokens of all texts together.
        """
        entries = self._get(texts, role, call, wants_tokens=False)
        return np.stack([entry.values for entry in entries]), sum(entry.num_tokens for entry in entries)

    def tokens(self, texts: Sequence[str], role: Role, call: Call) -> list[np.ndarray]:
        """For each text float32 [tokens, dim], L2-normalised, without prefix and special tokens."""
        entries = self._get(texts, role, call, wants_tokens=True)
        return [entry.values[entry.first : entry.last].astype(np.float32) for entry in entries]

    def close(self) -> None:
        """End the streams; calls that wait get an error."""
        with self._changed:
            self._is_closed = True
            for flight in self._flights.values():
                flight.error = ModelNotLoaded("the embedding model was put away", help="try again")
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _get(self, texts: Sequence[str], role: Role, call: Call, *, wants_tokens: bool) -> list[Remembered]:
        revision = self.embedder.card.revision
        keys = [key_of(revision, role, text, wants_tokens=wants_tokens) for text in texts]
        with self._changed:
            known = {key: entry for key in keys if (entry := self._caches[wants_tokens].get(key))}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            prepared = self.embedder.prepare(list(missing.values()), role, wants_tokens=wants_tokens)
            is_urgent = role == "query" or wants_tokens
            flights = self._depart(dict(zip(missing, prepared, strict=True)), call, is_urgent=is_urgent)
            known |= self._await(flights, call)
        return [known[key] for key in keys]

    def _depart(self, prepared: dict[bytes, Prepared], call: Call, *, is_urgent: bool) -> list[Flight]:
        """Join flights that are under way, start the others."""
        owner = next(self._owners)
        flights = []
        with self._changed:
            if self._is_closed:
                raise ModelNotLoaded("the embedding model was put away", help="try again")
            for key, text in prepared.items():
                flight = self._flights.get(key)
                if flight is None:
                    flight = self._flights[key] = Flight(key, text)
                    self._batcher.add([Waiting(flight, text.num_tokens, owner, is_urgent, flight.is_wanted)])
                flight.calls.append(call)
                flights.append(flight)
            self._changed.notify_all()
        return flights

    def _await(self, flights: list[Flight], call: Call) -> dict[bytes, Remembered]:
        landed = {}
        with self._changed:
            for flight in flights:
                while not flight.is_over:
                    call.check()
                    self._changed.wait(min(CHECK_S, call.remaining_s))
                if flight.error is not None:
                    raise flight.error
                assert flight.landed is not None
                landed[flight.key] = flight.landed
        return landed

    def _forget(self, flight: Flight) -> None:
        """Nobody wants it any more; the next call for the same text starts afresh."""
        del self._flights[flight.key]

    def _stream(self) -> None:
        while True:
            with self._changed:
                batch = self._batcher.take()
                while not batch:
                    if self._is_closed:
                        return
                    self._changed.wait()
                    batch = self._batcher.take()
            self._fly([waiting.payload for waiting in batch])

    def _fly(self, flights: list[Flight]) -> None:
        try:
            results = self.embedder.run([flight.prepared for flight in flights])
        except RagqError as error:
            self._land(flights, error)
        except Exception as error:  # whatever a runtime raises, the calls that wait must hear of it
            log.exception("the embedding model failed")
            self._land(flights, BackendError(f"the embedding model failed: {error}"))
        else:
            for flight, values in zip(flights, results, strict=True):
                text = flight.prepared
                kept = values.astype(np.float16) if text.wants_tokens else values
                flight.landed = Remembered(kept, text.num_tokens, text.first, text.last)
            self._land(flights, None)

    def _land(self, flights: list[Flight], error: RagqError | None) -> None:
        with self._changed:
            self.num_forwards += 1
            for flight in flights:
                flight.error = flight.error or error
                self._flights.pop(flight.key, None)
                if flight.landed is not None:
                    self._caches[flight.prepared.wants_tokens].put(flight.key, flight.landed)
            self._changed.notify_all()
