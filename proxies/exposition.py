"""How do numbers read in Prometheus' text format (version 0.0.4)?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sample:
    """One number; ``suffix`` is what a histogram's parts add to the name."""

    labels: Labels
    value: float
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """Numbers of one name."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    words: str
    samples: list[Sample] = field(default_factory=list)


def histogram(labels: Labels, bounds: Sequence[float], counts: Sequence[int], total: float) -> Iterator[Sample]:
    """The samples of one histogram.

    Args:
        labels: what tells it from others.
        bounds: upper bounds of the buckets.
        counts: how many fell into each bucket alone, and as the last one above all bounds.
        total: the sum of what was counted.
    """
    for bound, count in zip([*bounds, math.inf], accumulate(counts), strict=True):
        yield Sample({**labels, "le": number(bound)}, count, "_bucket")
    yield Sample(labels, total, "_sum")
    yield Sample(labels, sum(counts), "_count")


def text(families: Iterable[Family]) -> str:
    """All families that have a number, each name once."""
    return "".join(f"{line}\n" for family in families if family.samples for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {_escaped(family.words)}"
    yield f"# TYPE {family.name} {family.kind}"
    for sample in family.samples:
        yield f"{family.name}{sample.suffix}{_labels(sample.labels)} {number(sample.value)}"


def _labels(labels: Labels) -> str:
    quoted = (f'{name}="{_escaped(value).replace(chr(34), chr(92) + chr(34))}"' for name, value in labels.items())
    return f"{{{','.join(quoted)}}}" if labels else ""


def _escaped(words: str) -> str:
    return words.replace("\\", "\\\\").replace("\n", "\\n")


def number(value: float) -> str:
    """A number with all of its digits: ``3``, ``0.25``, ``+Inf``."""
    if math.isinf(value) or math.isnan(value):
        return {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, "NaN")
    return str(int(value)) if value == int(value) else repr(float(value))
