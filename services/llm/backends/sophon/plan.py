"""Which net does each text go through: the shortest that holds it, several texts at a time where that pays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clients.errors import TooLarge
from services.models.bundle import Net

LONGER_NET = "send fewer or shorter passages, or compile a longer net"


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass; ``rows`` are the numbers of the texts in it, at most as many as the net reads."""

    net: Net
    rows: tuple[int, ...]


def plan(nets: Sequence[Net], lengths: Sequence[int]) -> list[Pass]:
    """The passes of a batch.

    Args:
        nets: of the model.
        lengths: tokens of each text.

    Raises:
        TooLarge: a text is longer than the longest net.
    """
    groups: dict[int, list[int]] = {}
    for row, length in enumerate(lengths):
        groups.setdefault(shortest(nets, length).tokens, []).append(row)
    return [one for tokens, rows in sorted(groups.items()) for one in _passes(nets, tokens, rows)]


def shortest(nets: Sequence[Net], length: int) -> Net:
    """The shortest net that holds a text of so many tokens.

    Raises:
        TooLarge: it is longer than the longest net.
    """
    found = [net for net in nets if net.tokens >= length]
    if not found:
        longest = max(net.tokens for net in nets)
        raise TooLarge(f"a text has {length} tokens, and the longest net reads {longest}", help="compile a longer one")
    return min(found, key=lambda net: net.tokens)


def _passes(nets: Sequence[Net], tokens: int, rows: list[int]) -> Iterator[Pass]:
    """The widest net that is filled, then the one that takes the rest in the least time."""
    able = sorted((net for net in nets if net.tokens == tokens), key=lambda net: net.batch)
    while rows:
        filled = [net for net in able if net.batch <= len(rows)]
        wider = [net for net in able if net.batch > len(rows)]
        net = filled[-1] if filled else wider[0]
        if filled and wider and _pays(wider[0], net, len(rows)):
            net = wider[0]
        yield Pass(net, tuple(rows[: net.batch]))
        rows = rows[net.batch :]


def _pays(wider: Net, narrower: Net, number: int) -> bool:
    """Whether one half-empty pass is quicker than several full ones, where the times are known."""
    passes = -(-number // narrower.batch)
    return 0 < wider.latency_ms < passes * narrower.latency_ms
