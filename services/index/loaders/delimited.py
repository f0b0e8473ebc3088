"""What does a table in a text file say: which character parts its values, which row has the titles."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator

from .base import Loaded, Writer
from .plain import lines
from .tables import Cell, Row, Tables

DELIMITERS = ",;\t|"
SAMPLE_CHARS = 64 << 10
SAMPLE_LINES = 50
MAX_FIELD_CHARS = 10_000_000
VALUE = re.compile(r"[-+]?[$€£¥]?\d[\d\s.,:/'-]*(?:[eE][-+]?\d+)?\s*[%€£¥]?|true|false|n/?a|null|-", re.IGNORECASE)


def delimited(text: str, name: str) -> Loaded:
    """The rows of a text whose lines are rows of values, each value with its column's title."""
    media_type = "text/csv" if name.lower().endswith(".csv") else "text/tab-separated-values"
    mark = _delimiter(text)
    if not mark:
        return lines(text, media_type)
    writer = Writer()
    try:
        Tables(writer).add(_rows(text, mark))
    except csv.Error:
        return lines(text, media_type)  # quotes that never close: its lines are kept as they are
    return Loaded("".join(writer.parts), media_type, is_lines=True)


def _rows(text: str, mark: str) -> Iterator[Row]:
    csv.field_size_limit(MAX_FIELD_CHARS)
    for fields in csv.reader(text.splitlines(keepends=True), delimiter=mark, strict=True):
        row = {n: Cell(field, _is_value(field)) for n, field in enumerate(fields) if field.strip()}
        if row:
            yield row


def _is_value(field: str) -> bool:
    return VALUE.fullmatch(field.strip()) is not None


def _delimiter(text: str) -> str:
    """The character that cuts the first lines into the same number of values; empty when none does."""
    sample = text[:SAMPLE_CHARS].splitlines(keepends=True)[:SAMPLE_LINES]
    if len(text) > SAMPLE_CHARS and len(sample) > 1:
        sample.pop()
    best, best_score = "", 0.0
    for mark in DELIMITERS:
        counts = Counter(len(fields) for fields in csv.reader(sample, delimiter=mark) if fields)
        width, number = max(counts.items(), key=lambda item: (item[1], item[0]), default=(1, 0))
        score = number / max(1, counts.total()) + min(width, 10) / 100
        if width > 1 and score > best_score:
            best, best_score = mark, score
    return best
