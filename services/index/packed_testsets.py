"""How do the test sets of a collection go out with it, and come in under names that are free?"""

from __future__ import annotations

import itertools
import json
import sqlite3
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from typing import TypeVar

from clients.packed import QUESTIONS, RUNS, TESTSETS, PackedTestSet
from clients.reading import read as read_record
from clients.testsets import MAX_QUESTIONS, MAX_RUNS, Question, Relevant, Run, digest_of

from .archive import damaged, json_line, lines_of
from .testsets import MAX_NAME_CHARS, checked, checked_name

T = TypeVar("T")


def pack_testsets(read: sqlite3.Connection, file: zipfile.ZipFile, collection: str) -> bool:
    """Write the sets that measure a collection, as one moment of the records has them; whether there are any."""
    sets = read.execute("SELECT * FROM testsets WHERE collection = ? ORDER BY name", (collection,)).fetchall()
    questions = [_details(read, "questions", row["id"]) for row in sets]
    runs = [_details(read, "runs", row["id"]) for row in sets]
    if not sets:
        return False
    packed = [
        PackedTestSet(row["name"], len(asked), len(ran), row["created_at"], row["updated_at"])
        for row, asked, ran in zip(sets, questions, runs, strict=True)
    ]
    file.writestr(TESTSETS, b"".join(json_line(asdict(one)) for one in packed))
    file.writestr(QUESTIONS, b"".join(itertools.chain.from_iterable(questions)))
    file.writestr(RUNS, b"".join(itertools.chain.from_iterable(runs)))
    return True


def _details(read: sqlite3.Connection, table: str, id_: int) -> list[bytes]:
    rows = read.execute(f"SELECT detail FROM {table} WHERE testset_id = ? ORDER BY key", (id_,))  # noqa: S608 - of two
    return [row["detail"].encode("utf-8", "surrogatepass") + b"\n" for row in rows]


def take_testsets(tx: sqlite3.Connection, file: zipfile.ZipFile, collection: str, moved: Mapping[str, str]) -> None:
    """Put packed sets on record for a collection.

    A set that is here already, with the same questions for a collection of that name, is left as it is: a set outlives
    its collection. Another one of its name keeps it; the new one is then called after its collection.

    Args:
        tx: the transaction.
        file: the packed collection.
        collection: the name that it has here.
        moved: ids of the documents by those that they had where they come from.

    Raises:
        BadRequest: the sets are damaged, or out of bounds.
    """
    with (
        closing(lines_of(file, TESTSETS, PackedTestSet)) as sets,
        closing(lines_of(file, QUESTIONS, Question)) as questions,
        closing(lines_of(file, RUNS, Run)) as runs,
    ):
        for one in sets:
            if one.num_questions > MAX_QUESTIONS or one.num_runs > MAX_RUNS:
                raise damaged(f"the test set '{one.name}' is too large")
            asked = _next(questions, one.num_questions, QUESTIONS)
            ran = _next(runs, one.num_runs, RUNS)
            _take(tx, replace(one, name=checked_name(one.name)), collection, asked, ran, moved)
        if next(questions, None) is not None or next(runs, None) is not None:
            raise damaged(f"{QUESTIONS} or {RUNS} has more lines than {TESTSETS} says")


def _next(records: Iterator[T], count: int, name: str) -> list[T]:
    found = list(itertools.islice(records, max(0, count)))
    if len(found) != count:
        raise damaged(f"{name} has fewer lines than {TESTSETS} says")
    return found


def _take(
    tx: sqlite3.Connection,
    packed: PackedTestSet,
    collection: str,
    asked: Sequence[Question],
    ran: Sequence[Run],
    moved: Mapping[str, str],
) -> None:
    questions = [_here(checked(question), moved) for question in asked]
    if len({question.text for question in questions}) < len(questions):
        raise damaged(f"the test set '{packed.name}' has a question twice")
    name = _free_name(tx, packed.name, collection, questions)
    if not name:
        return
    before, now = digest_of(asked), digest_of(questions)
    made = tx.execute(
        "INSERT INTO testsets (name, collection, created_at, updated_at) VALUES (?, ?, ?, ?)",
        (name, collection, packed.created_at, packed.updated_at),
    )
    tx.executemany(
        "INSERT INTO questions (testset_id, text, detail) VALUES (?, ?, ?)",
        [(made.lastrowid, one.text, _json(one)) for one in questions],
    )
    runs = [replace(run, testset=name, digest=now if run.digest == before else run.digest) for run in ran]
    tx.executemany(
        "INSERT INTO runs (testset_id, detail, created_at) VALUES (?, ?, ?)",
        [(made.lastrowid, _json(run), run.created_at) for run in runs],
    )


def _here(question: Question, moved: Mapping[str, str]) -> Question:
    """The same question, with the ids that the documents have here."""
    return replace(question, relevant=[_answer_here(one, moved) for one in question.relevant])


def _answer_here(answer: Relevant, moved: Mapping[str, str]) -> Relevant:
    return replace(answer, document_id=moved.get(answer.document_id, answer.document_id))


def _free_name(tx: sqlite3.Connection, name: str, collection: str, questions: Sequence[Question]) -> str:
    """The name, or one like it that no other set has; empty when the set is here already."""
    for candidate in _names(name, collection):
        row = tx.execute("SELECT id, collection FROM testsets WHERE name = ?", (candidate,)).fetchone()
        if row is None:
            return candidate
        if row["collection"] == collection and _digest(tx, row["id"]) == digest_of(questions):
            break
    return ""


def _names(name: str, collection: str) -> Iterator[str]:
    yield name
    for number in itertools.count(1):
        ending = f" ({collection[:40]}{f' {number}' if number > 1 else ''})"
        yield name[: MAX_NAME_CHARS - len(ending)] + ending


def _digest(tx: sqlite3.Connection, id_: int) -> str:
    rows = tx.execute("SELECT detail FROM questions WHERE testset_id = ?", (id_,))
    return digest_of([read_record(Question, json.loads(row["detail"])) for row in rows])


def _json(record: Question | Run) -> str:
    return json.dumps(asdict(record), ensure_ascii=False)
