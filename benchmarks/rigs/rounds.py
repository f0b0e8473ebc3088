"""How stacks are compared: all cases of all of them in a new order each round, and medians of the rounds' ratios."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Protocol

from benchmarks.rigs.rig import Sample

Figure = Callable[[Sample], float]
WARM_UP_S = 0.1


class Stack(Protocol):
    """What can be measured."""

    name: str

    def run(self, case: str, seconds: float, /) -> Sample:
        """Run a case for about so many seconds."""
        ...


@dataclass(slots=True)
class Rounds:
    """What was measured: for each stack and case a sample of each round."""

    samples: dict[tuple[str, str], list[Sample]] = field(default_factory=dict)

    def run(self, plan: Sequence[tuple[Stack, str]], num_rounds: int, seconds: float) -> None:
        """Measure; the first, short round counts for nothing."""
        order, randomly = list(plan), random.Random(1)
        for number in range(num_rounds + 1):
            randomly.shuffle(order)
            for rig, case in order:
                sample = rig.run(case, seconds if number else WARM_UP_S)
                if number:
                    self.samples.setdefault((rig.name, case), []).append(sample)

    def has(self, rig: str, case: str) -> bool:
        """Whether it was measured."""
        return (rig, case) in self.samples

    def figures(self, rig: str, case: str, figure: Figure) -> list[float]:
        """A figure of each round."""
        return [figure(sample) for sample in self.samples[rig, case]]

    def ratio(self, above: str, below: str, case: str, figure: Figure) -> float | None:
        """Median over the rounds of one stack's figure by another's; None where one was not measured."""
        if not (self.has(above, case) and self.has(below, case)):
            return None
        pairs = zip(self.figures(above, case, figure), self.figures(below, case, figure), strict=True)
        return median(one / other for one, other in pairs)

    def spread(self, rig: str, cases: Iterable[str], figure: Figure) -> float:
        """How many times the largest of a stack's figures is the smallest, at worst over cases."""
        found = (self.figures(rig, case, figure) for case in cases)
        return max(max(figures) / min(figures) for figures in found)
