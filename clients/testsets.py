"""What do people keep to measure a collection by: questions, what answers each, and how runs over them came out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

from .calibration import Estimate
from .client import Client
from .wire import Nothing, unary

BATCH = 200
MAX_QUESTIONS = 20_000
MAX_RELEVANT = 1000
MAX_RUNS = 100


@dataclass(frozen=True, slots=True)
class Relevant:
    """What answers a question: a document, or a passage of it.

    It names no chunk, since chunks are cut anew and edited: a hit is held against the place in the document, and
    against the words where the document was replaced by another version.

    Attributes:
        document: its name.
        text: the passage's words; empty when any part of the document will do.
        document_id: which document of that name; empty when any.
        start, end: where the passage stands in the document's text; both 0 when it is not known.
        grade: how well it answers; 0 for what a person judged not to answer.
    """

    document: str
    text: str = ""
    document_id: str = ""
    start: int = 0
    end: int = 0
    grade: int = 1


@dataclass(frozen=True, slots=True)
class Question:
    """A question of a test set; a set has each text once.

    Attributes:
        relevant: what answers it, and what was judged not to.
        answer: what a good answer says, for people; may be empty.
        must_abstain: the collection lacks the answer, and that is what ought to be said.
    """

    text: str
    relevant: list[Relevant] = field(default_factory=list)
    answer: str = ""
    must_abstain: bool = False

    @property
    def answering(self) -> list[Relevant]:
        """What answers it."""
        return [one for one in self.relevant if one.grade > 0]


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """A test set in the list.

    Attributes:
        collection: name of the collection that it measures; the set outlives it.
    """

    name: str
    collection: str
    num_questions: int
    num_runs: int
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True)
class QuestionSets:
    """All test sets, by name."""

    sets: list[QuestionSet]


@dataclass(frozen=True, slots=True)
class QuestionPage:
    """Asks for some questions of a set, oldest first."""

    name: str
    offset: int = 0
    limit: int = BATCH


@dataclass(frozen=True, slots=True)
class Questions:
    """Some questions of a set.

    Attributes:
        total: how many there are in all.
    """

    questions: list[Question]
    total: int


@dataclass(frozen=True, slots=True)
class AddQuestions:
    """Questions for a set, which is made if it is not there; a text that the set has takes the place of the old one.

    Attributes:
        collection: may be empty for a set that is there.
    """

    name: str
    collection: str
    questions: list[Question]


@dataclass(frozen=True, slots=True)
class DeleteQuestions:
    """Texts of questions to take out of a set."""

    name: str
    texts: list[str]


@dataclass(frozen=True, slots=True)
class SetName:
    """Names a test set."""

    name: str


@dataclass(frozen=True, slots=True)
class Run:
    """How a way to search did on a test set.

    Attributes:
        way: such as ``hybrid+rerank``.
        settings: models, thresholds and what else the figures depend on.
        version: of ragq.
        digest: of the questions, so that runs over another state of the set are told apart.
        num_missing: relevant documents that the collection lacked.
        figures: by name, with 95 % intervals by bootstrap over questions.
    """

    testset: str
    way: str
    version: str
    digest: str
    num_questions: int
    num_missing: int = 0
    settings: dict[str, str] = field(default_factory=dict)
    figures: dict[str, Estimate] = field(default_factory=dict)
    created_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs, newest first."""

    runs: list[Run]


def digest_of(questions: Iterable[Question]) -> str:
    """Twelve hexadecimal digits that change with any question."""
    digest = hashlib.sha256()
    for question in sorted(questions, key=lambda one: one.text):
        digest.update(json.dumps(asdict(question), ensure_ascii=False, sort_keys=True).encode())
    return digest.hexdigest()[:12]


TESTSETS = unary("index.testsets", Nothing, QuestionSets)
QUESTIONS = unary("index.questions", QuestionPage, Questions)
ADD_QUESTIONS = unary("index.add_questions", AddQuestions, QuestionSet)
DELETE_QUESTIONS = unary("index.delete_questions", DeleteQuestions, QuestionSet)
DELETE_TESTSET = unary("index.delete_testset", SetName, Nothing)
SAVE_RUN = unary("index.save_run", Run, Nothing, idempotent=False)
RUNS = unary("index.runs", SetName, Runs)
METHODS = (TESTSETS, QUESTIONS, ADD_QUESTIONS, DELETE_QUESTIONS, DELETE_TESTSET, SAVE_RUN, RUNS)


class Testing:
    """The part of the Index service's client that keeps test sets."""

    __test__ = False
    _client: Client

    def testsets(self) -> list[QuestionSet]:
        """All test sets, by name."""
        return self._client.call(TESTSETS, Nothing()).sets

    def questions(self, testset: str) -> list[Question]:
        """All questions of a set, oldest first; NotFound when there is no such set."""
        found = self._client.call(QUESTIONS, QuestionPage(testset))
        questions = list(found.questions)
        while len(questions) < found.total:
            found = self._client.call(QUESTIONS, QuestionPage(testset, len(questions)))
            if not found.questions:
                break
            questions += found.questions
        return questions

    def add_questions(self, testset: str, questions: Sequence[Question], collection: str = "") -> QuestionSet:
        """Put questions into a set, in place of those with the same text; makes the set if it is not there.

        Raises:
            NotFound: there is neither such a set nor, for a new one, such a collection.
            BadRequest: the set measures another collection; a new set without a question; an empty or too long text;
                passages that answer a question which is said to have no answer.
        """
        added = self._client.call(ADD_QUESTIONS, AddQuestions(testset, collection, list(questions[:BATCH])))
        for i in range(BATCH, len(questions), BATCH):
            added = self._client.call(ADD_QUESTIONS, AddQuestions(testset, collection, list(questions[i : i + BATCH])))
        return added

    def delete_questions(self, testset: str, texts: Sequence[str]) -> QuestionSet:
        """Take questions out of a set; texts that it does not have are left out."""
        return self._client.call(DELETE_QUESTIONS, DeleteQuestions(testset, list(texts)))

    def delete_testset(self, testset: str) -> None:
        """Delete a set with its runs; NotFound."""
        self._client.call(DELETE_TESTSET, SetName(testset))

    def save_run(self, run: Run) -> None:
        """Keep a run with its set; the hundred newest are kept."""
        self._client.call(SAVE_RUN, run)

    def runs(self, testset: str) -> list[Run]:
        """The runs over a set, newest first; NotFound when there is no such set."""
        return self._client.call(RUNS, SetName(testset)).runs
