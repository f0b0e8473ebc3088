"""Which questions show whether the gate is right: answerable, the same without their documents, and foreign ones."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from clients.decision import Gate, confidence, evidence
from clients.errors import BadRequest
from clients.evaluation import TEST_SET, Labelled
from clients.fitting import Case, Kind
from clients.followup import is_cjk
from clients.index import Chunk, Document
from clients.looking import Look, Looking
from clients.mesh import Ragq

from .progress import meter

IN_FLIGHT = 4
PAGE = 500
NUM_MADE = 150
MIN_WORDS, MAX_WORDS = 3, 40
MIN_CJK = 6
FIRST_SENTENCE = re.compile(r"\s*(.+?(?:[.!?](?=\s)|[。！？\n]|$))", re.DOTALL)
SEED = 7
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with the ids of the documents that answer it; none when it has no answer in the collection."""

    question: str
    gold: frozenset[str]


def asked(mesh: Ragq, collection: str, labelled: Sequence[Labelled]) -> list[Asked]:
    """The questions, with the documents' names as ids; those whose documents are all missing are left out.

    Raises:
        BadRequest: none of the documents that the test set names is in the collection.
    """
    by_name: dict[str, set[str]] = {}
    for document in documents(mesh, collection):
        by_name.setdefault(document.name, set()).add(document.id)
    found = [
        Asked(one.question, frozenset(id_ for name in one.documents for id_ in by_name.get(name, ())))
        for one in labelled
    ]
    kept = [one for one, given in zip(found, labelled, strict=True) if one.gold or not given.documents]
    if not any(one.gold for one in kept):
        raise BadRequest(
            f"no document that the test set names is in {collection}",
            help=f"{TEST_SET}; ragq eval DIR -c {collection} adds the documents of a BEIR directory",
        )
    return kept


def documents(mesh: Ragq, collection: str) -> Iterator[Document]:
    """All of a collection that are ready."""
    offset = 0
    while True:
        page = mesh.index.documents(collection, status="ready", offset=offset, limit=PAGE)
        yield from page.documents
        offset += len(page.documents)
        if not page.documents or offset >= page.total:
            return


def made(mesh: Ragq, collection: str, count: int = NUM_MADE) -> list[Asked]:
    """Questions made of the collection's own chunks: a heading, or the first sentence where there is none.

    They share their words with the passage, which people's questions do not; what is fitted to them is too sure.
    """
    found = list(documents(mesh, collection))
    choose = random.Random(SEED)  # noqa: S311 - the same questions every time
    choose.shuffle(found)
    questions: dict[str, Asked] = {}
    rounds = max(1, -(-count // max(1, len(found))))
    for document in found[:count]:
        chunks = mesh.index.chunks(document, limit=PAGE).chunks
        for chunk in choose.sample(chunks, min(rounds, len(chunks))):
            if question := question_of(chunk):
                questions.setdefault(question, Asked(question, frozenset([document.id])))
    return list(questions.values())[:count]


def question_of(chunk: Chunk) -> str:
    """What one might ask for to find this chunk; empty when neither heading nor first sentence says enough."""
    heading = chunk.heading.rsplit(" > ", maxsplit=1)[-1].strip()
    sentence = FIRST_SENTENCE.match(chunk.text)
    for text in (heading, " ".join(sentence.group(1).split()) if sentence else ""):
        if MIN_WORDS <= len(text.split()) <= MAX_WORDS or (is_cjk(text) and len(text) >= MIN_CJK):
            return text
    return ""


def cases(mesh: Ragq, collection: str, questions: Sequence[Asked], foreign: Sequence[str]) -> list[Case]:
    """Ask every question, and again without its documents, and the foreign ones; several in flight."""
    plan: list[tuple[int, Kind, Asked]] = []
    for number, one in enumerate(questions):
        kinds: tuple[Kind, ...] = ("answerable", "hard") if one.gold else ("easy",)
        plan += [(number, kind, one) for kind in kinds]
    plan += [(len(questions) + i, "easy", Asked(text, frozenset())) for i, text in enumerate(foreign)]

    def case(item: tuple[int, Kind, Asked]) -> Case:
        number, kind, one = item
        look = first_look(mesh, collection, one, without_gold=kind == "hard")
        hits, sentences = look.hits, look.sentences
        is_found = any(hit.document_id in one.gold for hit in hits.hits)
        sure = confidence(hits, sentences, one.question)
        return Case(number, kind, evidence(hits, sentences, one.question), sure, is_found)

    return in_flight(case, plan, "questions")


def first_look(mesh: Ragq, collection: str, one: Asked, *, without_gold: bool) -> Look:
    """What ``ask`` finds first, before it decides on a second search."""
    looking = Looking(mesh.llm, mesh.index, mesh.config.ask, collection)
    gate = Gate(mesh.config.ask.threshold, mesh.config.ask.threshold_low)
    return looking.first(one.question, gate, sorted(one.gold) if without_gold else ())


def in_flight(work: Callable[[T], R], plan: Sequence[T], noun: str) -> list[R]:
    """The results in the order of the plan, several at a time."""
    results = []
    with ThreadPoolExecutor(IN_FLIGHT) as pool, meter(noun) as report:
        for number, result in enumerate(pool.map(work, plan), 1):
            results.append(result)
            report("asking", number, len(plan))
    return results


def foreign_to(mesh: Ragq, collection: str, count: int = NUM_MADE) -> list[str]:
    """Questions made of other collections' chunks, as many of each."""
    others = [c.name for c in mesh.index.collections() if c.name != collection and c.num_chunks]
    if not others:
        return []
    each = -(-count // len(others))
    return [one.question for name in others for one in made(mesh, name, each)][:count]
