"""How does the page present chats in this tab, where it differs from ragq.yml?"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass

from clients.asking import Ask
from clients.errors import BadRequest
from clients.reading import read

MAX_ADDRESS_CHARS = 4000
_QUESTION = re.compile(r"\s*\[(.+)\]\s*")


@dataclass(frozen=True, slots=True)
class Manners:
    """What a visitor wants otherwise; None leaves it as ragq.yml has it.

    Attributes:
        opener: what is said before the first question.
        show_sources: whether an answer shows where it comes from.
    """

    opener: str | None = None
    show_sources: bool | None = None

    def given(self) -> dict[str, object]:
        """What is set."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def opening(self, settings: Ask) -> Opening:
        """What is said before the first question."""
        return opening(settings.opener if self.opener is None else self.opener)

    def shows_sources(self, settings: Ask) -> bool:
        """Whether an answer shows where it comes from."""
        return settings.show_sources if self.show_sources is None else self.show_sources


@dataclass(frozen=True, slots=True)
class Opening:
    """Words before the first question, and questions to click on."""

    text: str
    questions: tuple[str, ...] = ()


def opening(text: str) -> Opening:
    """An opener's words, and its lines in square brackets as questions, each once."""
    lines = text.splitlines()
    found = [_QUESTION.fullmatch(line) for line in lines]
    words = [line for line, question in zip(lines, found, strict=True) if question is None]
    return Opening("\n".join(words).strip(), tuple(dict.fromkeys(one[1].strip() for one in found if one)))


def address_of(manners: Manners) -> str:
    """The manners as one value of the page's address; empty when all is as in ragq.yml."""
    given = manners.given()
    return json.dumps(given, ensure_ascii=False, separators=(",", ":")) if given else ""


def manners_of(address: str) -> Manners:
    """The manners that an address holds; none when it means nothing."""
    try:
        return read(Manners, json.loads(address)) if 0 < len(address) <= MAX_ADDRESS_CHARS else Manners()
    except (ValueError, RecursionError, BadRequest):
        return Manners()


def differing(settings: Ask, chosen: Manners) -> Manners:
    """The manners that differ from ragq.yml."""
    return read(Manners, {name: value for name, value in chosen.given().items() if value != getattr(settings, name)})
