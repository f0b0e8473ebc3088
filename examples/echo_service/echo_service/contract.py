"""What a caller and the Echo service say to each other."""

from __future__ import annotations

from dataclasses import dataclass

from clients.wire import Method, unary


@dataclass(frozen=True, slots=True)
class Say:
    """A text to say back, ``times`` over."""

    text: str
    times: int = 1


@dataclass(frozen=True, slots=True)
class Said:
    """The text."""

    text: str


@dataclass(frozen=True, slots=True)
class Spell:
    """A text to say back word by word, with a pause after each."""

    text: str
    pause_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Word:
    """One word of it."""

    text: str


@dataclass(frozen=True, slots=True)
class Spelled:
    """The end: how many words there were."""

    num_words: int


SAY = unary("echo.say", Say, Said)
SPELL = Method("echo.spell", Spell, Spelled, Word)
