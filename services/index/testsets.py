"""Which questions are collections measured by, and how did the runs come out?"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, replace

from clients.errors import BadRequest, NotFound
from clients.reading import read
from clients.testsets import (
    MAX_QUESTIONS,
    MAX_RELEVANT,
    MAX_RUNS,
    AddQuestions,
    DeleteQuestions,
    Question,
    QuestionPage,
    Questions,
    QuestionSet,
    Run,
)
from clients.wire import Clock

from .schema import Database

MAX_NAME_CHARS = 100
MAX_PAGE = 1000
MAX_QUESTION_CHARS = 20_000
LISTED = """SELECT name, collection, created_at, updated_at,
    (SELECT count(*) FROM questions WHERE testset_id = t.id) AS num_questions,
    (SELECT count(*) FROM runs WHERE testset_id = t.id) AS num_runs FROM testsets t"""


class TestSetRecords:
    """Test sets on record, by name; they stay when their collection goes, and measure the next one of its name."""

    __test__ = False

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def all(self) -> list[QuestionSet]:
        """Every set, by name."""
        rows = self._database.read().execute(f"{LISTED} ORDER BY name")
        return [_listed(row) for row in rows]

    def named(self, name: str) -> QuestionSet:
        """One set; NotFound."""
        row = self._database.read().execute(f"{LISTED} WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise _no(name)
        return _listed(row)

    def page(self, request: QuestionPage) -> Questions:
        """Some questions of a set, oldest first."""
        if request.offset < 0 or not 1 <= request.limit <= MAX_PAGE:
            raise BadRequest(f"offset: 0 or more; limit: 1 to {MAX_PAGE}")
        found = self.named(request.name)
        rows = self._database.read().execute(
            """SELECT detail FROM questions WHERE testset_id = (SELECT id FROM testsets WHERE name = ?)
            ORDER BY key LIMIT ? OFFSET ?""",
            (request.name, request.limit, request.offset),
        )
        return Questions([read(Question, json.loads(row["detail"])) for row in rows], found.num_questions)

    def add(self, request: AddQuestions) -> QuestionSet:
        """Put questions into a set, which is made if it is not there."""
        questions = [checked(question) for question in request.questions]
        with self._database.write() as tx:
            id_ = self._id(tx, request, has_some=bool(questions))
            for question in questions:
                tx.execute(
                    """INSERT INTO questions (testset_id, text, detail) VALUES (?, ?, ?)
                    ON CONFLICT (testset_id, text) DO UPDATE SET detail = excluded.detail""",
                    (id_, question.text, json.dumps(asdict(question), ensure_ascii=False)),
                )
            self._touch(tx, id_)
            (total,) = tx.execute("SELECT count(*) FROM questions WHERE testset_id = ?", (id_,)).fetchone()
            if total > MAX_QUESTIONS:
                raise BadRequest(f"a test set has at most {MAX_QUESTIONS} questions", help="make a second one")
        return self.named(request.name)

    def _id(self, tx: sqlite3.Connection, request: AddQuestions, *, has_some: bool) -> int:
        """The number of the set that the questions go to."""
        row = tx.execute("SELECT id, collection FROM testsets WHERE name = ?", (request.name,)).fetchone()
        if row is None:
            if not has_some:
                raise BadRequest("a new test set needs a question")
            return self._made(tx, request)
        if request.collection not in ("", row["collection"]):
            raise BadRequest(
                f"the test set '{request.name}' measures {row['collection']}, not {request.collection}",
                help="give it another name",
            )
        return int(row["id"])

    def _made(self, tx: sqlite3.Connection, request: AddQuestions) -> int:
        name = checked_name(request.name)
        if tx.execute("SELECT 1 FROM collections WHERE name = ?", (request.collection,)).fetchone() is None:
            raise NotFound(f"there is no collection '{request.collection}'", help="ragq collections lists them")
        now = self._clock()
        made = tx.execute(
            "INSERT INTO testsets (name, collection, created_at, updated_at) VALUES (?, ?, ?, ?)",
            (name, request.collection, now, now),
        )
        return int(made.lastrowid or 0)

    def _touch(self, tx: sqlite3.Connection, id_: int) -> None:
        tx.execute("UPDATE testsets SET updated_at = ? WHERE id = ?", (self._clock(), id_))

    def remove(self, request: DeleteQuestions) -> QuestionSet:
        """Take questions out of a set."""
        with self._database.write() as tx:
            id_ = _known(tx, request.name)
            tx.executemany(
                "DELETE FROM questions WHERE testset_id = ? AND text = ?", [(id_, text) for text in request.texts]
            )
            self._touch(tx, id_)
        return self.named(request.name)

    def delete(self, name: str) -> None:
        """Delete a set with its questions and runs."""
        with self._database.write() as tx:
            tx.execute("DELETE FROM testsets WHERE id = ?", (_known(tx, name),))

    def save(self, run: Run) -> None:
        """Keep a run; the oldest one goes when there are too many."""
        now = self._clock()
        detail = json.dumps(asdict(replace(run, created_at=now)), ensure_ascii=False)
        with self._database.write() as tx:
            id_ = _known(tx, run.testset)
            tx.execute("INSERT INTO runs (testset_id, detail, created_at) VALUES (?, ?, ?)", (id_, detail, now))
            tx.execute(
                """DELETE FROM runs WHERE testset_id = ? AND key NOT IN
                (SELECT key FROM runs WHERE testset_id = ? ORDER BY key DESC LIMIT ?)""",
                (id_, id_, MAX_RUNS),
            )

    def runs(self, name: str) -> list[Run]:
        """The runs over a set, newest first."""
        self.named(name)
        rows = self._database.read().execute(
            """SELECT detail FROM runs WHERE testset_id = (SELECT id FROM testsets WHERE name = ?)
            ORDER BY key DESC""",
            (name,),
        )
        return [read(Run, json.loads(row["detail"])) for row in rows]


def checked_name(name: str) -> str:
    """The name of a test set; BadRequest when it is none."""
    if name != name.strip() or not 1 <= len(name) <= MAX_NAME_CHARS or not name.isprintable():
        raise BadRequest(f"{name!r} is no name for a test set", help=f"1 to {MAX_NAME_CHARS} printable characters")
    return name


def _known(tx: sqlite3.Connection, name: str) -> int:
    row = tx.execute("SELECT id FROM testsets WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise _no(name)
    return int(row["id"])


def _no(name: str) -> NotFound:
    return NotFound(f"there is no test set '{name}'", help="ragq testset list shows them")


def _listed(row: sqlite3.Row) -> QuestionSet:
    return QuestionSet(**{key: row[key] for key in row.keys()})  # noqa: SIM118 - a row is no mapping


def checked(question: Question) -> Question:
    """The question as it is kept; BadRequest when it is out of bounds, or contradicts itself."""
    text = question.text.strip()
    if not text or len(text) > MAX_QUESTION_CHARS:
        raise BadRequest(f"a question has 1 to {MAX_QUESTION_CHARS} characters, this one has {len(text)}")
    if len(question.relevant) > MAX_RELEVANT:
        raise BadRequest(f"'{text[:60]}' has {len(question.relevant)} passages", help=f"at most {MAX_RELEVANT}")
    if question.must_abstain and question.answering:
        raise BadRequest(
            f"'{text[:60]}' has passages that answer it, and is said to have no answer",
            help="leave out one or the other",
        )
    _check_relevant(text, [one.document for one in question.relevant])
    return replace(question, text=text)


def _check_relevant(text: str, documents: Sequence[str]) -> None:
    if not all(name.strip() for name in documents):
        raise BadRequest(f"a passage for '{text[:60]}' names no document")
