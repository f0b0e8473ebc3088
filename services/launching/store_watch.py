"""Does the server of the vectors that runs here still answer? One that is stopped cannot tell so itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Self

from clients.errors import RagqError
from clients.wire import Clock
from services.index.stores.exchange import Exchange
from services.index.stores.whereabouts import Place, Whereabouts
from services.launching.liaison import Stuck

INTERVAL_S = 2.0
ANSWER_S = 5.0
MAX_SILENT_S = 30.0


class StoreWatch:
    """Asks the server for a sign of life, from a thread of its own.

    Args:
        where: tells where it listens; a server that has not said so yet is still starting.
        hear: told of one that has been silent for too long, again and again as long as it is.
        max_silent_s: how long that is.
    """

    def __init__(
        self,
        where: Whereabouts,
        hear: Callable[[Stuck], None],
        max_silent_s: float = MAX_SILENT_S,
        clock: Clock = time.monotonic,
    ) -> None:
        self._where, self._hear, self._max_silent_s, self._clock = where, hear, max_silent_s, clock
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="asks the store", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def _run(self) -> None:
        heard: tuple[Place | None, float] = (None, 0.0)
        while not self._ended.wait(INTERVAL_S):
            place = self._where.read()
            if place != heard[0] or place is None or _answers(place):
                heard = (place, self._clock())
            elif self._clock() - heard[1] > self._max_silent_s:
                self._hear(Stuck(place.pid))


def _answers(place: Place) -> bool:
    exchange = Exchange(lambda: place.url)
    try:
        exchange.ask("GET", "/api/v2/heartbeat", timeout_s=ANSWER_S)
    except RagqError:
        return False
    finally:
        exchange.close()
    return True
