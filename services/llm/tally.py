"""What has gone through a model, and what waits."""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of one model, or of several one after another; ``clients.models.RoleUsage`` says what each is."""

    num_tokens: int = 0
    num_passes: int = 0
    num_waiting: int = 0
    num_running: int = 0
    cache_hits: int = 0
    cache_misses: int = 0
    cache_bytes: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    @property
    def done(self) -> Tally:
        """What stays true when the model is gone."""
        return replace(self, num_waiting=0, num_running=0, cache_bytes=0)


@runtime_checkable
class Tallied(Protocol):
    """A model that counts."""

    @property
    def tally(self) -> Tally:
        """What has gone through it."""
        ...
