"""Which sentences of some passages answer a question, without a model that writes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log

import numpy as np

from clients.llm import Extract, Extraction, Sentence

from .tables import rows
from .words import informative

Similarity = Callable[[str, Sequence[str]], np.ndarray]

MAX_CHARS = 480
MAX_EMBEDDED = 64
ENDS = re.compile(
    r"""[。！？；!?]+[」』”’）)"']*(?:\s+|(?=\S))     # an end that needs no space behind it
      | (?<=[.…])["'”’)\]]*\s+(?=["'“‘(\[]*[^\Wa-z])    # a full stop, a space, then no small letter
      | [ \t]*\n\s*\n\s*                              # a blank line
      | [ \t]*\n\s*(?=[-*•#|>]|\d+[.)]\s)             # a list item, a heading, a row of a table
      | (?<=\|)[ \t]*\n
    """,
    re.VERBOSE,
)
SPACE_BEHIND = re.compile(r"[!?]")
ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|No|Nr|vs|etc|e\.g|i\.e|cf|Fig|Figs|Eq|Sec|Vol|pp|al|approx|Inc|Ltd|Co|Corp|U\.S)\.$"
)
LONGEST_ABBREVIATION = 10
BLOCK = re.compile(r"(?:[^\n]*\S[^\n]*\n?)+")
SHORT_LINE = 0.75
CELLS = " | "
HEADING = re.compile(r"#{1,6} [^\n]*\n")
ASKS_FOR_NUMBER = re.compile(
    r"\b(when|how (many|much|long|far|old|often|large|big|high|fast)|(what|which) (year|date|number|percentage|port))\b"
    "|多少|几[个年月天次位种]|何时|什么时候|哪一?年|多[长久大高]",
    re.IGNORECASE,
)
HAS_NUMBER = re.compile(
    r"\d|[一二三四五六七八九十百千万亿]+[年月日个次位种元]"
    r"|\b(one|two|three|four|five|six|seven|eight|nine|ten|twelve|hundred|thousand|million)\b",
    re.IGNORECASE,
)
# Weights were set by hand and looked over on questions of XQuAD (English) and CMRC 2018 (Chinese).
WEIGHT_MEANING, WEIGHT_WORDS, WEIGHT_PASSAGE = 0.5, 0.35, 0.15
NUMBER_BONUS = 0.05
QUESTION_FACTOR, FRAGMENT_FACTOR = 0.6, 0.7


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence before it has a score.

    Attributes:
        told: what is compared with the question: the text, for a row of a table with the columns' heads.
        words: the informative ones of ``told``.
    """

    passage: int
    start: int
    end: int
    text: str
    told: str
    words: frozenset[str]


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Where each sentence starts and ends; what is without a letter or digit is left out."""
    for start, end in _spans(text):
        for piece_start, piece_end in _pieces(text, start, end):
            stripped = text[piece_start:piece_end].strip()
            if any(character.isalnum() for character in stripped):
                begin = text.index(stripped, piece_start)
                yield begin, begin + len(stripped)


def extract(request: Extract, similarity: Similarity | None) -> Extraction:
    """The best sentences, best first; equal ones in the order of the text.

    Args:
        request: question and passages.
        similarity: 0 to 1 for each sentence against the question; None scores by words alone.
    """
    candidates = _candidates(request.passages)
    scores = _scores(request.question, candidates, similarity)
    order = sorted(range(len(candidates)), key=lambda i: (-scores[i], candidates[i].passage, candidates[i].start))
    best = [Sentence(c.passage, c.start, c.end, c.text, round(scores[i], 6)) for i in order for c in [candidates[i]]]
    return Extraction(best[: request.max_sentences])


def _spans(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for end in sorted({match.end() for match in ENDS.finditer(text) if _is_end(text, match)} | set(_short_lines(text))):
        yield start, end
        start = end
    yield start, len(text)


def _short_lines(text: str) -> Iterator[int]:
    """Ends of lines that stop well before the longest and are not followed by a small letter, and of rows.

    In wrapped prose every line but the last is nearly full; lines of a table that lost its rules are not.
    """
    for block in BLOCK.finditer(text):
        lines = block.group().splitlines(keepends=True)
        full = SHORT_LINE * max(map(len, lines))
        at = block.start()
        for line, following in pairwise(lines):
            at += len(line)
            is_row = CELLS in line or CELLS in following
            if is_row or (len(line) < full and not following.lstrip()[:1].islower()):
                yield at


def _is_end(text: str, match: re.Match[str]) -> bool:
    if SPACE_BEHIND.match(match.group()) and not match.group()[-1].isspace():
        return match.end() == len(text)
    return not ABBREVIATION.search(text[max(0, match.start() - LONGEST_ABBREVIATION) : match.start()])


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """A heading apart from what follows it; a run-on sentence in parts."""
    heading = HEADING.match(text, start, end)
    if heading:
        yield start, heading.end()
        start = heading.end()
    while end - start > MAX_CHARS:
        cut = (
            max(
                text.rfind(mark, start + MAX_CHARS // 2, start + MAX_CHARS)
                for mark in (", ", "; ", "，", "、", "；", "\n", " ")
            )
            + 1
        )
        cut = cut or start + MAX_CHARS
        yield start, cut
        start = cut
    yield start, end


def _candidates(passages: Sequence[str]) -> list[Candidate]:
    found, seen = [], set()
    for number, passage in enumerate(passages):
        in_tables = {row.start: row for row in rows(passage)}
        for start, end in sentences(passage):
            text = passage[start:end]
            told = in_tables[start].told if start in in_tables else text
            if told and text not in seen:
                seen.add(text)
                found.append(Candidate(number, start, end, text, told, frozenset(informative(told))))
    return found


def _scores(question: str, candidates: Sequence[Candidate], similarity: Similarity | None) -> list[float]:
    wanted = frozenset(informative(question))
    weights = _weights(wanted, candidates)
    passages = _passage_words(candidates)
    words = [_share(wanted, c.words, weights) for c in candidates]
    around = [_share(wanted, passages[c.passage], weights) for c in candidates]
    meaning = _meaning(question, candidates, words, similarity) if similarity else words
    bonus = NUMBER_BONUS if ASKS_FOR_NUMBER.search(question) else 0.0
    return [
        (1 - bonus) * _factor(c) * (WEIGHT_MEANING * m + WEIGHT_WORDS * w + WEIGHT_PASSAGE * a)
        + (bonus if HAS_NUMBER.search(c.text) else 0.0)
        for c, m, w, a in zip(candidates, meaning, words, around, strict=True)
    ]


def _weights(wanted: frozenset[str], candidates: Sequence[Candidate]) -> dict[str, float]:
    """Rare words of the question count more."""
    total = len(candidates)
    return {word: log(1 + total / (1 + sum(word in c.words for c in candidates))) for word in wanted}


def _share(wanted: frozenset[str], words: frozenset[str], weights: dict[str, float]) -> float:
    total = sum(weights.values())
    return sum(weights[word] for word in wanted & words) / total if total else 0.0


def _passage_words(candidates: Sequence[Candidate]) -> dict[int, frozenset[str]]:
    words: dict[int, frozenset[str]] = {}
    for candidate in candidates:
        words[candidate.passage] = words.get(candidate.passage, frozenset()) | candidate.words
    return words


def _meaning(
    question: str, candidates: Sequence[Candidate], words: Sequence[float], similarity: Similarity
) -> list[float]:
    """Similarities of the candidates that share most words; the others get none."""
    chosen = sorted(range(len(candidates)), key=lambda i: (-words[i], i))[:MAX_EMBEDDED]
    values = [0.0] * len(candidates)
    if chosen:
        similarities = similarity(question, [candidates[i].told for i in chosen])
        for i, value in zip(chosen, similarities, strict=True):
            values[i] = float(np.clip(value, 0.0, 1.0))
    return values


def _factor(candidate: Candidate) -> float:
    """A question or a heading seldom answers."""
    if candidate.text.rstrip("\"'”’)").endswith(("?", "？")):
        return QUESTION_FACTOR
    return FRAGMENT_FACTOR if candidate.text.startswith("#") or len(candidate.words) < 3 else 1.0
