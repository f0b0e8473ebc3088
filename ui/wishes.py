"""How does this tab want its questions answered, where it differs from ragq.yml?"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

from clients.config import Ask
from clients.errors import BadRequest
from clients.reading import read

MAX_ADDRESS_CHARS = 4000


@dataclass(frozen=True, slots=True)
class Wishes:
    """Fields of ``ask`` that the tab sets; None leaves one as ragq.yml has it."""

    answer: Literal["auto", "extractive", "written"] | None = None
    mode: Literal["strict", "helpful"] | None = None
    rounds: int | None = None
    top_k: int | None = None
    passages: int | None = None
    threshold_low: float | None = None
    threshold: float | None = None
    anyway: bool | None = None
    instructions: str | None = None
    absent: str | None = None
    temperature: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None

    def options(self) -> dict[str, object]:
        """What the call is given."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def address(self) -> str:
        """As one value of the page's address; empty when nothing is wished."""
        given = self.options()
        return json.dumps(given, ensure_ascii=False, separators=(",", ":")) if given else ""


def wishes_of(address: str) -> Wishes:
    """The wishes that an address holds; none when it means nothing."""
    try:
        return read(Wishes, json.loads(address)) if 0 < len(address) <= MAX_ADDRESS_CHARS else Wishes()
    except (ValueError, RecursionError, BadRequest):
        return Wishes()


def differing(settings: Ask, chosen: Wishes) -> Wishes:
    """The wishes that differ from ragq.yml; the two thresholds go together."""
    own = {name: value for name, value in chosen.options().items() if value != getattr(settings, name)}
    if own.keys() & {"threshold", "threshold_low"}:
        own |= {"threshold": chosen.threshold, "threshold_low": chosen.threshold_low}
    return read(Wishes, own)
