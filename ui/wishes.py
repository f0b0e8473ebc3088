"""How does this tab want its questions answered, where it differs from ragq.yml?"""

from __future__ import annotations

import json
from dataclasses import asdict

from clients.asking import Ask, AskOptions
from clients.errors import BadRequest
from clients.reading import read

MAX_ADDRESS_CHARS = 8000


def address_of(wishes: AskOptions) -> str:
    """The wishes as one value of the page's address; empty when nothing is wished."""
    given = wishes.given()
    if wishes.within is not None:
        given["within"] = {name: words for name, words in asdict(wishes.within).items() if words}
    return json.dumps(given, ensure_ascii=False, separators=(",", ":")) if given else ""


def wishes_of(address: str) -> AskOptions:
    """The wishes that an address holds; none when it means nothing."""
    try:
        return read(AskOptions, json.loads(address)) if 0 < len(address) <= MAX_ADDRESS_CHARS else AskOptions()
    except (ValueError, RecursionError, BadRequest):
        return AskOptions()


def differing(settings: Ask, chosen: AskOptions) -> AskOptions:
    """The wishes that differ from ragq.yml; the two thresholds go together."""
    own = {name: value for name, value in chosen.given().items() if value != getattr(settings, name, None)}
    if own.keys() & {"threshold", "threshold_low"}:
        own |= {"threshold": chosen.threshold, "threshold_low": chosen.threshold_low}
    return read(AskOptions, own)
