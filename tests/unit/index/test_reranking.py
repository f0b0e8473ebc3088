"""Is the reranker asked within its time, and heard in the right way?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pytest

from clients.errors import BackendError, Unreachable
from clients.index import Chunk, Search
from clients.llm import ModelInfo, Ranked, Role, RoleName
from clients.models import unserved
from services.index.entries import Found
from services.index.reranking import BUDGET_S, MAX_CANDIDATES, MAX_SIMILAR, RETRY_AFTER_S, Reranking, Trail
from services.service import Call

KNOWN = {f"c{i}": Found(Chunk(f"c{i}", "d", i, f"text {i} " + "x" * 492, 0, 500), "doc") for i in range(60)}
ORDER = {f"c{i}": 60.0 - i for i in range(60)}


class Judge:
    """A reranker that likes late numbers; ``seconds`` pass for each text."""

    def __init__(self, *, is_probability: bool = False, seconds: float = 0.0) -> None:
        self.now = 0.0
        self.asked: list[int] = []
        self.error: Exception | None = None
        self._is_probability = is_probability
        self._seconds = seconds

    def clock(self) -> float:
        return self.now

    def rerank(
        self,
        query: str,
        documents: Sequence[str],
        top_k: int | None = None,
        *,
        model: str = "",
        timeout_s: float | None = None,
    ) -> list[Ranked]:
        self.asked.append(len(documents))
        self.now += self._seconds * len(documents)
        if self.error:
            raise self.error
        scores = [int(text.split()[1]) / 100 for text in documents]
        ranked = [Ranked(i, s, s - 1 if self._is_probability else s, documents[i]) for i, s in enumerate(scores)]
        return sorted(ranked, key=lambda r: -r.score)

    def embed(
        self,
        texts: str | Iterable[str],
        role: Role = "document",
        *,
        model: str = "",
        dimension: int = 0,
        timeout_s: float | None = None,
    ) -> np.ndarray:
        return np.zeros((0, 0), np.float32)

    def model(self, role: RoleName, *, timeout_s: float | None = None) -> ModelInfo:
        return unserved(role)


def apply(
    judge: Judge, reranking: Reranking, top_k: int = 10, remaining_s: float = 30.0
) -> tuple[dict[str, float], str, Trail]:
    trail = Trail(signals={"dense": dict(ORDER)})
    call = Call(remaining_s, clock=lambda: 0.0)
    order, kind = reranking.apply(Search("papers", "question", top_k), dict(ORDER), "similarity", KNOWN, trail, call)
    return order, kind, trail


def test_a_similarity_is_one_signal_more() -> None:
    judge = Judge()
    order, kind, trail = apply(judge, Reranking(judge, judge.clock))
    assert kind == "fused"
    assert set(order) == set(ORDER)
    assert list(order)[10:] == list(ORDER)[10:]
    assert list(order)[:10] != list(ORDER)[:10]
    assert trail.notes == []


def test_a_similarity_is_asked_for_ten_only_once_it_is_known() -> None:
    judge = Judge()
    reranking = Reranking(judge, judge.clock)
    apply(judge, reranking)
    apply(judge, reranking)
    assert judge.asked == [MAX_CANDIDATES, MAX_SIMILAR]


def test_a_cross_encoder_decides_by_itself() -> None:
    judge = Judge(is_probability=True)
    order, kind, _ = apply(judge, Reranking(judge, judge.clock))
    assert kind == "probability"
    assert next(iter(order)) == f"c{MAX_CANDIDATES - 1}"


def test_a_slow_reranker_gets_fewer_candidates() -> None:
    judge = Judge(is_probability=True, seconds=0.15)
    reranking = Reranking(judge, judge.clock)
    for _ in range(12):
        apply(judge, reranking)
    assert judge.asked[0] == MAX_CANDIDATES
    assert judge.asked[-1] * 0.15 <= BUDGET_S
    assert judge.asked[-1] >= 10


def test_a_hopeless_reranker_is_left_out_with_a_note() -> None:
    judge = Judge(seconds=9.0)
    reranking = Reranking(judge, judge.clock)
    notes = [apply(judge, reranking)[2].notes for _ in range(9)]
    assert notes[-1] == ["not reranked: the reranker is too slow on this machine"]


def test_a_reranker_that_was_hopeless_is_asked_again_when_the_machine_is_quiet() -> None:
    judge = Judge(seconds=9.0)
    reranking = Reranking(judge, judge.clock)
    for _ in range(9):
        apply(judge, reranking)
    num_asked, judge._seconds = len(judge.asked), 0.01
    assert apply(judge, reranking)[1] == "similarity"
    assert len(judge.asked) == num_asked, "not at once"
    for _ in range(12):
        judge.now += RETRY_AFTER_S + 1
        apply(judge, reranking)
    assert apply(judge, reranking)[1] == "fused"
    assert judge.asked[-1] >= MAX_SIMILAR


def test_a_cross_encoder_that_cannot_do_all_that_is_wanted_is_left_out() -> None:
    judge = Judge(is_probability=True)
    order, kind, trail = apply(judge, Reranking(judge, judge.clock), top_k=50)
    assert (kind, list(order)) == ("similarity", list(ORDER))
    assert "50 are wanted" in trail.notes[0]


def test_a_reranker_that_is_away_is_left_alone_for_a_while() -> None:
    judge = Judge()
    judge.error = Unreachable("nobody answers")
    reranking = Reranking(judge, judge.clock)
    for _ in range(3):
        assert apply(judge, reranking)[2].notes == ["not reranked: nobody answers"]
    assert len(judge.asked) == 1
    judge.now += RETRY_AFTER_S + 1
    judge.error = None
    assert apply(judge, reranking)[1] == "fused"


def test_a_failure_is_a_note() -> None:
    judge = Judge()
    judge.error = BackendError("the runtime failed")
    order, kind, trail = apply(judge, Reranking(judge, judge.clock))
    assert (kind, list(order), trail.notes) == ("similarity", list(ORDER), ["not reranked: the runtime failed"])


@pytest.mark.parametrize("remaining_s", [0.0, 0.01])
def test_a_call_without_time_is_not_reranked(remaining_s: float) -> None:
    judge = Judge()
    assert apply(judge, Reranking(judge, judge.clock), remaining_s=remaining_s)[1] == "similarity"
    assert judge.asked == []
