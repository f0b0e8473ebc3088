"""Which tensors of a graph lie in the memory of an answer: the keys and values of each layer, a row for each token.

A graph that reads a text gives them out as ``key_N`` and ``value_N``, one that reads a further token takes them as
``past_key_N`` and ``past_value_N`` and gives out a row more. They never leave the device.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import replace

from .port import Graph, Spec

PAST = re.compile(r"past_((?:key|value)_\d+)")
GIVEN = re.compile(r"(?:key|value)_\d+")


def taken(spec: Spec) -> str:
    """The cells that an input is; empty: it is none of a memory."""
    found = PAST.fullmatch(spec.name)
    return found[1] if found else ""


def given(spec: Spec) -> str:
    """The cells that an output goes to; empty: to none."""
    return spec.name if GIVEN.fullmatch(spec.name) else ""


def layout(graphs: Iterable[Graph]) -> dict[str, Spec]:
    """What a memory consists of: for all cells the longest tensor [1, rows, heads, width] that any graph takes."""
    found: dict[str, Spec] = {}
    for graph in graphs:
        for spec in graph.inputs:
            name = taken(spec)
            if name and (name not in found or found[name].shape[1] < spec.shape[1]):
                found[name] = replace(spec, name=name)
    return found


def row_values(spec: Spec) -> int:
    """Numbers of one row."""
    return math.prod(spec.shape[2:])
