"""When is a page asked for again that did not come?"""

from __future__ import annotations

from collections.abc import Callable

from .fetching import Fetched
from .trouble import Trouble

MAX_REST_S = 30.0


def patiently(act: Callable[[], Fetched], tries: int, rest: Callable[[float], bool]) -> Fetched:
    """Try again after troubles that pass, 1, 4, 9 … seconds apart or as long as the server asks.

    Args:
        act: fetches.
        tries: in all; a server that asks for more than half a minute gets no second one.
        rest: sleeps for seconds; True when nobody wants the page any more.

    Raises:
        Trouble: the last one.
    """
    number = 1
    while True:
        try:
            return act()
        except Trouble as error:
            rest_s = max(float(number * number), error.retry_after_s)
            if number >= tries or rest_s > MAX_REST_S or rest(rest_s):
                raise
            number += 1
