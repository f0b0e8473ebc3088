"""Under which line of its passage does a sentence stand: a heading, a question that it answers, a term?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .tables import rows

MARKED = re.compile(r"#{1,6} +(.*)")
TERM = re.compile(r"\*\*([^*\n]{1,60})\*\*[ \t]*[:：]")
CLOSED = re.compile(r"[.。!！?？;；:：,，、…|`]$")
NOT_PLAIN = re.compile(r"[-*•>|`]|```|\d+[.)]\s")
MAX_PLAIN = 60
SHORT = 0.75  # a line of wrapped prose is nearly as long as the next one


@dataclass(frozen=True, slots=True)
class Head:
    """A line that says what the lines below it are about.

    Attributes:
        start, end: character offsets of the line; equal for a term, whose line is a sentence too.
        until: where what stands below it ends.
        text: without marks.
    """

    start: int
    end: int
    until: int
    text: str


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    text: str

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def heads(text: str) -> list[Head]:
    """Every head in the order of the text; of several above a sentence the last one counts."""
    in_tables = {row.start for row in rows(text)}
    lines = list(_lines(text))
    found: list[Head] = []
    for i, line in enumerate(lines):
        if line.start not in in_tables and (head := _head(lines, i)) is not None:
            reaches = _end_of_block(lines, i) if head[1] else len(text)
            end = line.start if TERM.match(line.text) else line.end
            found.append(Head(line.start, end, reaches, head[0]))
    return found


def above(found: Sequence[Head], at: int) -> str:
    """The head that a sentence starting at ``at`` stands under; empty when there is none."""
    under = [head for head in found if head.end <= at and head.start < at]
    return under[-1].text if under and at < under[-1].until else ""


def term(text: str) -> str:
    """The term that a sentence explains, as in a glossary; empty when it is none."""
    match = TERM.match(text)
    return match.group(1) if match else ""


def is_head(found: Sequence[Head], start: int, end: int) -> bool:
    """Whether this is the line of a head itself."""
    return any(head.start <= start and end <= head.end for head in found)


def _lines(text: str) -> Iterator[_Line]:
    """Lines without the blanks around them; what is between fences is left out."""
    at, is_code = 0, False
    for line in text.splitlines(keepends=True):
        stripped = line.strip()
        if stripped.startswith("```"):
            is_code = not is_code
        elif not is_code:
            yield _Line(at + len(line) - len(line.lstrip()) if stripped else at, stripped)
        at += len(line)


def _head(lines: Sequence[_Line], i: int) -> tuple[str, bool] | None:
    """Its text, and whether it reaches to the next empty line only."""
    text = lines[i].text
    if marked := MARKED.match(text):
        return marked.group(1), False
    if term := TERM.match(text):
        return term.group(1), True
    if _is_first(lines, i) and _has_more(lines, i):
        if text.endswith(("?", "？")) and len(text) <= 2 * MAX_PLAIN:
            return text, True
        if len(text) <= MAX_PLAIN and not (CLOSED.search(text) or NOT_PLAIN.match(text)):
            return text, bool(lines[i + 1].text)
    return None


def _is_first(lines: Sequence[_Line], i: int) -> bool:
    return bool(lines[i].text) and (i == 0 or not lines[i - 1].text)


def _has_more(lines: Sequence[_Line], i: int) -> bool:
    """Whether a longer line with a sentence follows at once, or anything behind one empty line."""
    following = [line.text for line in lines[i + 1 : i + 3]]
    if not following:
        return False
    if following[0]:
        is_short = lines[i].text.endswith(("?", "？")) or len(lines[i].text) < SHORT * len(following[0])
        return is_short and not following[0][0].islower() and re.search(r"[.。!！?？;；]", following[0]) is not None
    return len(following) == 2 and bool(following[1])


def _end_of_block(lines: Sequence[_Line], i: int) -> int:
    for line in lines[i:]:
        if not line.text:
            return line.start
    return lines[-1].end
