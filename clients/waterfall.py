"""How a trace reads as text: one line a span, indented below its parent, with a bar where its time lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .trace import Span

BAR = 32


@dataclass(frozen=True, slots=True)
class Row:
    """A span in its place; ``began`` is never before its parent's, whatever the hosts' clocks say."""

    span: Span
    depth: int
    began: float


def waterfall(spans: Sequence[Span]) -> str:
    """A line for each span: when it began after the first, how long it took, where, and a bar."""
    rows = list(_rows(spans))
    if not rows:
        return "nothing was recorded"
    zero = min(row.began for row in rows)
    whole_s = max(row.began + row.span.seconds for row in rows) - zero
    width = max(len(row.span.name) + 2 * row.depth for row in rows)
    return "\n".join(_line(row, row.began - zero, whole_s, width) for row in rows)


def _rows(spans: Sequence[Span]) -> Iterator[Row]:
    """Every span below its parent, the earliest first; one whose parent is unknown stands at the top."""
    ids = {span.id for span in spans}
    below: dict[bytes, list[Span]] = {}
    for span in sorted(spans, key=lambda span: -span.began):
        below.setdefault(span.parent if span.parent in ids else b"", []).append(span)
    stack = [Row(span, 0, span.began) for span in below.pop(b"", [])]
    while stack:
        row = stack.pop()
        yield row
        children = below.pop(row.span.id, [])
        stack += [Row(child, row.depth + 1, max(child.began, row.began)) for child in children]


def _line(row: Row, offset_s: float, whole_s: float, width: int) -> str:
    span, scale = row.span, BAR / whole_s if whole_s > 0 else 0.0
    name = ("  " * row.depth + span.name).ljust(width)
    first = min(int(offset_s * scale), BAR - 1)
    length = max(1, min(round(span.seconds * scale), BAR - first))
    bar = (" " * first + "━" * length).ljust(BAR)
    return f"{name}  {offset_s * 1000:8.1f} ms  {span.seconds * 1000:8.1f} ms  {bar}  {span.where} {span.note}".rstrip()
