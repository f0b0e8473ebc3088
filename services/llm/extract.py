"""Which sentences of some passages answer a question, without a model that writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from clients.llm import Extract, Extraction, Sentence

from .headings import above, heads, is_head, term
from .questions import Wish, has_way, wish
from .sentences import sentences
from .tables import rows
from .words import informative

Similarity = Callable[[str, Sequence[str]], np.ndarray]

MAX_EMBEDDED = 64
# Weights and factors were chosen on the handbook's questions: benchmarks/extract.py, benchmarks/LOG.md.
WEIGHT_MEANING, WEIGHT_WORDS, WEIGHT_PASSAGE = 0.6, 0.3, 0.1
HEAD_IN_MEANING, HEAD_IN_WORDS = 0.5, 0.75
HEAD_FACTOR, QUESTION_FACTOR, FRAGMENT_FACTOR, ECHO_FACTOR = 0.5, 0.6, 0.7, 0.6
LAST_FACTOR, NUM_RANKS = 0.85, 4
MIN_NEW_WORDS, MAX_SHARED_WORDS = 0.2, 0.7
FENCE = "```"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence before it has a score.

    Attributes:
        told: what is compared with the question: the text, for a row of a table with the columns' heads.
        under: ``told`` behind the line that it stands under.
        head: that line, or the term that the sentence itself explains.
        words, words_under: the informative ones of ``told`` and of ``under``.
        is_head: whether it is such a line itself.
    """

    passage: int
    start: int
    end: int
    text: str
    told: str
    under: str
    head: str
    words: frozenset[str]
    words_under: frozenset[str]
    is_head: bool


def extract(request: Extract, similarity: Similarity | None) -> Extraction:
    """The best sentences, best first; equal ones in the order of the text, none that only repeats a better one.

    Args:
        request: question and passages, the best passage first.
        similarity: 0 to 1 for each sentence against the question; None scores by words alone.
    """
    candidates = _candidates(request.passages)
    scores = _scores(request.question, candidates, similarity)
    order = sorted(range(len(candidates)), key=lambda i: (-scores[i], candidates[i].passage, candidates[i].start))
    chosen: list[int] = []
    for i in order:
        if len(chosen) < request.max_sentences and not any(
            _says_the_same(candidates[i], candidates[j]) for j in chosen
        ):
            chosen.append(i)
    best = [Sentence(c.passage, c.start, c.end, c.text, round(scores[i], 6)) for i in chosen for c in [candidates[i]]]
    return Extraction(best)


def _says_the_same(one: Candidate, other: Candidate) -> bool:
    """Whether most words of the shorter one are in the other."""
    words, more = sorted((frozenset(informative(c.text)) for c in (one, other)), key=len)
    return bool(words) and len(words & more) >= MAX_SHARED_WORDS * len(words)


def _candidates(passages: Sequence[str]) -> list[Candidate]:
    found: dict[str, Candidate] = {}
    for number, passage in enumerate(passages):
        in_tables, lines = {row.start: row.told for row in rows(passage)}, heads(passage)
        for start, end in sentences(passage):
            text = passage[start:end]
            told = in_tables.get(start, text)
            if told and text not in found:
                where = Sentence(number, start, end, text, 0.0)
                found[text] = _candidate(where, told, above(lines, start), is_head=is_head(lines, start, end))
    return list(found.values())


def _candidate(where: Sentence, told: str, head: str, *, is_head: bool) -> Candidate:
    under = f"{head}: {told}" if head else told
    if where.text.startswith(FENCE):  # what a command does is said by what stands above it
        told = under
    return Candidate(
        where.passage, where.start, where.end, where.text, told, under, head or term(where.text),
        frozenset(informative(told)), frozenset(informative(under)), is_head,
    )  # fmt: skip


def _scores(question: str, candidates: Sequence[Candidate], similarity: Similarity | None) -> list[float]:
    wanted, wished = frozenset(informative(question)), wish(question)
    weights = _weights(wanted, candidates)
    words = [
        (1 - HEAD_IN_WORDS) * _share(wanted, c.words, weights) + HEAD_IN_WORDS * _share(wanted, c.words_under, weights)
        for c in candidates
    ]
    passages = _passage_words(candidates)
    around = [_share(wanted, passages[c.passage], weights) for c in candidates]
    meaning = _meaning(question, candidates, words, similarity) if similarity else words
    asked = question.strip().casefold()
    return [
        min(
            1.0,
            _favour(c, wished)
            * _factor(c, wanted, asked)
            * (WEIGHT_MEANING * m + WEIGHT_WORDS * w + WEIGHT_PASSAGE * a),
        )
        for c, m, w, a in zip(candidates, meaning, words, around, strict=True)
    ]


def _favour(candidate: Candidate, wished: Wish) -> float:
    """Above 1 for what the question wishes for, below 1 for the rest; what is far from the question gains little."""
    earned = 0.0 if candidate.is_head else wished.bonus(candidate.text, candidate.head)
    return 1 - wished.share + 2 * earned


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
    """Similarities of the candidates that share most words, with and without their heads; the others get none."""
    chosen = sorted(range(len(candidates)), key=lambda i: (-words[i], i))[:MAX_EMBEDDED]
    values = [0.0] * len(candidates)
    if chosen:
        texts = list(dict.fromkeys(text for i in chosen for text in (candidates[i].told, candidates[i].under)))
        near = dict(zip(texts, np.clip(similarity(question, texts), 0.0, 1.0).tolist(), strict=True))
        for i in chosen:
            told, under = near[candidates[i].told], near[candidates[i].under]
            values[i] = (1 - HEAD_IN_MEANING) * told + HEAD_IN_MEANING * under
    return values


def _factor(candidate: Candidate, wanted: frozenset[str], asked: str) -> float:
    """What seldom answers counts less, and so do later passages."""
    rank = 1 - (1 - LAST_FACTOR) * min(candidate.passage, NUM_RANKS) / NUM_RANKS
    return rank * _worth(candidate, wanted, asked)


def _worth(candidate: Candidate, wanted: frozenset[str], asked: str) -> float:
    """Less for a heading, a question, what repeats the question, and a fragment.

    Only a question has the first and the third against it: a title or a repetition supports a statement.
    """
    own, is_question = frozenset(informative(candidate.text)), asked.endswith(("?", "？"))
    if candidate.is_head and is_question:
        return HEAD_FACTOR
    if candidate.text.rstrip("\"'”’)").endswith(("?", "？")):
        return QUESTION_FACTOR
    is_echo = asked.rstrip("?？") in candidate.text.casefold() or len(own - wanted) < MIN_NEW_WORDS * len(own)
    if is_echo and is_question:
        return ECHO_FACTOR
    return FRAGMENT_FACTOR if len(candidate.words) < 3 and not has_way(candidate.text) else 1.0
