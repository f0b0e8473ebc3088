"""Does a hit answer a question of a test set, although its chunk was cut anew, edited or read from a new version?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .documents import Document
from .searching import Hit
from .testsets import Question, Relevant

LEAST = 0.5
GRAM = 5


def is_relevant(hit: Hit, one: Relevant) -> bool:
    """Whether a hit is the document, or holds at least half of the passage or stands at least half within it.

    In the very document the places are compared, else the words.
    """
    is_same = bool(one.document_id) and hit.document_id == one.document_id
    if not is_same and hit.document != one.document:
        return False
    if not one.text:
        return True
    if is_same and one.end > one.start and hit.end > hit.start:
        return _shared_place(hit, one) >= LEAST
    return shared_words(hit.text, one.text) >= LEAST


def _shared_place(hit: Hit, one: Relevant) -> float:
    both = min(hit.end, one.end) - max(hit.start, one.start)
    return max(0, both) / min(hit.end - hit.start, one.end - one.start)


def shared_words(first: str, second: str) -> float:
    """Overlap coefficient of two texts' sequences of five characters, 0 to 1; spaces and capitals do not count."""
    one, two = _grams(first), _grams(second)
    return len(one & two) / max(1, min(len(one), len(two)))


def _grams(text: str) -> set[str]:
    bare = "".join(text.split()).casefold()
    return {bare[i : i + GRAM] for i in range(max(1, len(bare) - GRAM + 1))}


def ranked(question: Question, hits: Sequence[Hit]) -> dict[str, float]:
    """Scores of a ranking by key, for `clients.evaluation.judge`: what answers by its number, all else by itself.

    A passage that several hits hold counts at its best place; hits of a document count once where whole documents
    are asked for.
    """
    by_document = not any(one.text for one in question.relevant)
    scores: dict[str, float] = {}
    for place, hit in enumerate(hits, 1):
        other = hit.document_id if by_document else hit.chunk_id
        keys = [str(i) for i, one in enumerate(question.relevant) if is_relevant(hit, one)] or [other]
        for key in keys:
            scores.setdefault(key, -float(place))
    return scores


def judged(question: Question) -> dict[str, int]:
    """The grade of each relevant passage by its number."""
    return {str(i): one.grade for i, one in enumerate(question.relevant)}


def finds_answer(question: Question, hits: Iterable[Hit]) -> bool:
    """Whether something that answers is among the hits."""
    return any(is_relevant(hit, one) for hit in hits for one in question.answering)


def absent(questions: Iterable[Question], documents: Iterable[Document]) -> list[Relevant]:
    """What answers questions but stands in documents that are not there, neither themselves nor by name."""
    ids: set[str] = set()
    names: set[str] = set()
    for document in documents:
        ids.add(document.id)
        names.add(document.name)
    answering = (one for question in questions for one in question.answering)
    return [one for one in answering if one.document_id not in ids and one.document not in names]
