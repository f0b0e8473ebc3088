"""What does a question find each way, and would it be answered: what the page of retrieval tests asks and keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from clients.decision import Gate
from clients.errors import BadRequest, RagqError
from clients.index import Hits, IndexClient
from clients.looking import Look, Looking
from clients.mesh import Ragq
from clients.ways import WAYS, Way, read_way
from clients.within import within_of

MAX_CHARS = 2000
MAX_QUESTIONS = 10
MAX_TOP_K = 50
_SEPARATOR = " "
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried.

    Attributes:
        text: questions, one per line, as they were searched for; empty before the first search.
        ways: how to search, in the order of the columns.
        low, high: thresholds of the decision; None takes those that hold for the collection.
        is_single: one way at a time instead of side by side.
        testset: where marks go; empty for the first of the collection.
        within: names or patterns of the documents that are searched; none for all.
    """

    text: str = ""
    ways: tuple[Way, ...] = WAYS
    top_k: int = 8
    low: float | None = None
    high: float | None = None
    is_single: bool = False
    testset: str = ""
    within: tuple[str, ...] = ()

    @property
    def questions(self) -> list[str]:
        """Each of them once, without the empty lines."""
        return list(dict.fromkeys(filter(None, map(str.strip, self.text.splitlines()))))[:MAX_QUESTIONS]

    def address(self) -> dict[str, str]:
        """The trial as values of the page's address, from which a reload or a friend gets it back."""
        given = "" if self.low is None or self.high is None else f"{self.low:.2f}{_SEPARATOR}{self.high:.2f}"
        ways = "" if self.ways == WAYS else _SEPARATOR.join(map(str, self.ways)).replace("+", "-")
        return {
            "q": self.text,
            "ways": ways,
            "k": str(self.top_k),
            "t": given,
            "one": "1" if self.is_single else "",
            "set": self.testset,
            "in": "\n".join(self.within),
        }


def trial_of(address: Mapping[str, str], top_k: int) -> Trial:
    """The trial that an address holds; a value that means nothing is left out.

    Args:
        address: the values of the page's address.
        top_k: how many hits there are unless the address says.
    """
    low, high = _thresholds(address.get("t", ""))
    ways = tuple(way for name in address.get("ways", "").split() if (way := _way(name.replace("-", "+"))))
    number = address.get("k", "")
    asked = int(number) if number.isascii() and number.isdigit() else top_k
    text = address.get("q", "")[:MAX_CHARS]
    within = tuple(filter(None, address.get("in", "").split("\n")))
    return Trial(
        text, ways or WAYS, max(1, min(MAX_TOP_K, asked)), low, high, bool(address.get("one")), address.get("set", ""),
        within,
    )  # fmt: skip


def _way(name: str) -> Way | None:
    try:
        return read_way(name)
    except BadRequest:
        return None


def _thresholds(text: str) -> tuple[float | None, float | None]:
    try:
        low, high = map(float, text.split())
    except ValueError:
        return None, None
    return (low, high) if 0.0 <= low <= high <= 1.0 else (None, None)


@dataclass(frozen=True, slots=True)
class Judged:
    """What the gate makes of a question, without an answer being written.

    Attributes:
        timings: seconds per stage.
        notes: why something that was fitted is not used, for people.
    """

    look: Look
    gate: Gate
    timings: dict[str, float]
    notes: list[str]


@dataclass(slots=True)
class Finds:
    """What trials found so far, so that drawing the page again asks nothing twice; errors are not kept."""

    _kept: dict[tuple[object, ...], object] = field(default_factory=dict)

    def forget(self) -> None:
        """Search anew from now on."""
        self._kept.clear()

    def hits(self, index: IndexClient, collection: str, question: str, way: Way, trial: Trial) -> Hits | RagqError:
        """What one way finds."""
        top_k, within = trial.top_k, trial.within
        return self._once(
            (collection, question, way, top_k, within),
            lambda: index.find(collection, question, top_k, way.mode, rerank=way.rerank, within=within),
        )

    def gate(self, mesh: Ragq, collection: str) -> tuple[Gate, list[str]] | RagqError:
        """The thresholds that hold for the collection, and why others do not."""
        return self._once((collection,), lambda: _looking(mesh, collection).gate())

    def judged(
        self, mesh: Ragq, collection: str, question: str, gate: Gate, notes: list[str], within: tuple[str, ...] = ()
    ) -> Judged | RagqError:
        """What ``ask`` would do with a question."""
        key = (collection, question, gate.low, gate.high, within)
        return self._once(key, lambda: _judged(_looking(mesh, collection, within), question, gate, notes))

    def _once(self, key: tuple[object, ...], work: Callable[[], T]) -> T | RagqError:
        if key not in self._kept:
            try:
                self._kept[key] = work()
            except RagqError as error:
                return error
        kept: T = self._kept[key]  # type: ignore[assignment]  # a key has one kind of value
        return kept


def moved(gate: Gate, trial: Trial) -> Gate:
    """The gate with the thresholds of a trial, if it has any."""
    return gate if trial.low is None or trial.high is None else replace(gate, low=trial.low, high=trial.high)


def _looking(mesh: Ragq, collection: str, within: tuple[str, ...] = ()) -> Looking:
    return Looking(mesh.llm, mesh.index, mesh.config.ask, collection, within=within_of(within))


def _judged(looking: Looking, question: str, gate: Gate, notes: list[str]) -> Judged:
    look = looking.look(question, gate)
    return Judged(look, gate, looking.timings, notes)
