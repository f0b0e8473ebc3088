"""How many of a worker's slots each of its proxies may use."""

from __future__ import annotations


def share(total: int, num_proxies: int, place: int) -> int:
    """The slots of one proxy; all shares together are ``total``, or one each where that is more.

    Args:
        total: slots of the worker.
        num_proxies: that know the worker.
        place: of the proxy among them, from 0; the first places get what does not divide evenly.
    """
    return max(1, total // num_proxies + (place < total % num_proxies))
