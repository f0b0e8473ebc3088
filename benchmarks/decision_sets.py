"""Which questions show whether ragq knows what a collection lacks: test sets with passages left out."""

from __future__ import annotations

import gzip
import json
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from clients import Ragq
from clients.evaluation import Beir, read_beir
from clients.index import Text

ROOT = Path(__file__).resolve().parents[1]
HANDBOOK = ROOT / "tests" / "data" / "handbook_questions.jsonl"
SETS = {"xquad-en": 240, "xquad-zh": 240, "cmrc2018": 450, "scifact": 1100, "vaswani": 2500}
NUM_TECHDOCS = 600
NUM_SINGLES = 30
SEED = 7
LANGUAGES = (("xquad-zh", "xquad-en"), ("xquad-en", "xquad-zh"))


@dataclass(frozen=True, slots=True)
class Question:
    """A question to ask of a collection; ``group`` is the line of the report."""

    group: str
    collection: str
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Half:
    """A set with the passages of half its questions left out."""

    texts: list[Text]
    answerable: list[str]
    absent: list[str]


def halves(beir: Beir, size: int, rng: random.Random) -> Half:
    """The documents to index, the questions that they answer, and those whose passages were left out."""
    relevant = {q: {d for d, grade in beir.judgements[q].items() if grade > 0} for q in beir.queries}
    queries = sorted(beir.queries)
    rng.shuffle(queries)
    gold = set().union(*relevant.values())
    out: set[str] = set()
    for query in queries:
        if 2 * len(out) < len(gold):
            out |= relevant[query]
    entries = {entry.id: entry for entry in beir.corpus}
    kept = sorted(gold - out)[:size]
    others = sorted(entries.keys() - gold)
    kept += rng.sample(others, max(0, min(len(others), size - len(kept))))
    answerable = [beir.queries[q] for q in queries if relevant[q] & set(kept)]
    absent = [beir.queries[q] for q in queries if relevant[q] <= out]
    return Half([Text(id_, entries[id_].content) for id_ in kept], answerable, absent)


def techdocs(path: Path, rng: random.Random) -> list[Text]:
    """Some passages of the corpus that has no questions of its own."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        chosen = rng.sample(list(lines), NUM_TECHDOCS)
    return [Text(line["_id"], line["text"]) for line in map(json.loads, chosen)]


def index(mesh: Ragq, collection: str, texts: Sequence[Text]) -> None:
    """Fill a collection; what is there already costs nothing."""
    for at in range(0, len(texts), 500):
        record = mesh.index.add(collection, texts=texts[at : at + 500]).wait(3600)
        assert record.status == "succeeded", record


def plan(mesh: Ragq, data: Path, count: int) -> Iterator[Question]:
    """Index every set, and give the questions."""
    rng = random.Random(SEED)
    sets = {name: read_beir(data / name) for name in SETS if available(data / name)}
    halved = {name: halves(beir, SETS[name], rng) for name, beir in sets.items()}
    pools = {name: list(beir.queries.values()) for name, beir in sets.items()}
    for name, half in halved.items():
        index(mesh, f"decision-{name}", half.texts)
        yield from asked(name, name, "answerable", half.answerable[:count])
        yield from asked(name, name, "hard", half.absent[:count])
        yield from asked(name, name, "foreign", foreign(pools, name, count, rng))
    if available(data / "techdocs"):
        index(mesh, "decision-techdocs", techdocs(data / "techdocs" / "corpus.jsonl.gz", random.Random(SEED)))
        yield from asked("techdocs", "techdocs", "foreign", foreign(pools, "techdocs", count, rng))
    yield from across(sets, halved, count)
    yield from singles(mesh, sets, pools, rng)


def available(directory: Path) -> bool:
    """Whether a set is there; says so when not."""
    if not directory.is_dir():
        print(f"left out: {directory} is not there", file=sys.stderr)
    return directory.is_dir()


def asked(group: str, name: str, label: str, texts: Iterable[str]) -> Iterator[Question]:
    return (Question(group, f"decision-{name}", label, text) for text in texts)


def foreign(pools: dict[str, list[str]], name: str, count: int, rng: random.Random) -> list[str]:
    """Questions of the other sets; of XQuAD's two languages one is not foreign to the other."""
    family = name.partition("-")[0]
    chosen = [
        rng.sample(pool, min(count // 3, len(pool)))
        for other, pool in pools.items()
        if other.partition("-")[0] != family
    ]
    texts = [text for texts in chosen for text in texts]
    rng.shuffle(texts)
    return texts[:count]


def across(sets: dict[str, Beir], halved: dict[str, Half], count: int) -> Iterator[Question]:
    """The questions of each of XQuAD's languages, asked of the passages in the other one."""
    for asking, name in LANGUAGES:
        if asking in sets and name in sets:
            other = translations(sets[name], sets[asking])
            group = f"{name} asked in {asking[-2:]}"
            yield from asked(group, name, "answerable", [other[text] for text in halved[name].answerable[:count]])
            yield from asked(group, name, "hard", [other[text] for text in halved[name].absent[:count]])


def translations(one: Beir, other: Beir) -> dict[str, str]:
    """The questions of one set by those of the other; they share ids."""
    return {text: other.queries[key] for key, text in one.queries.items()}


def singles(mesh: Ragq, sets: dict[str, Beir], pools: dict[str, list[str]], rng: random.Random) -> Iterator[Question]:
    """Collections of one document each, asked about it, about its neighbour and about something else."""
    for name in sorted(sets.keys() & {"xquad-en", "cmrc2018"}):
        asked_of = questions_by_document(sets[name])
        corpus = sets[name].corpus
        zh = translations(sets[name], sets["xquad-zh"]) if name == "xquad-en" and "xquad-zh" in sets else {}
        for at in range(0, len(corpus) - 1, len(corpus) // NUM_SINGLES):
            single, group = f"{name}-{at}", f"one document of {name}"
            index(mesh, f"decision-{single}", [Text(corpus[at].id, corpus[at].content)])
            answerable, absent = (asked_of.get(corpus[i].id, [])[:2] for i in (at, at + 1))
            yield from asked(group, single, "answerable", answerable)
            yield from asked(group, single, "hard", absent)
            yield from asked(group, single, "foreign", foreign(pools, name, 6, rng)[:2])
            if zh:
                yield from asked(f"{group} asked in zh", single, "answerable", [zh[text] for text in answerable])
                yield from asked(f"{group} asked in zh", single, "hard", [zh[text] for text in absent])


def questions_by_document(beir: Beir) -> dict[str, list[str]]:
    """Which questions a document answers."""
    found: dict[str, list[str]] = {}
    for query, text in beir.queries.items():
        for document in beir.judgements[query]:
            found.setdefault(document, []).append(text)
    return found


def handbook(mesh: Ragq) -> Iterator[Question]:
    """Questions about the sample knowledge base."""
    from services.index.sample import COLLECTION, files

    mesh.index.add(COLLECTION, files=files()).wait(600)
    for line in map(json.loads, HANDBOOK.read_text(encoding="utf-8").splitlines()):
        yield Question(COLLECTION, COLLECTION, "answerable" if line["documents"] else "foreign", line["question"])
