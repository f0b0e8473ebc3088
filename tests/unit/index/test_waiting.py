"""Is the LLM service waited for as long as promised, and not longer?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pytest

from clients.errors import BackendError, Busy, DeadlineExceeded, ModelNotLoaded, RagqError, Unreachable
from clients.llm import ModelInfo, Ranked, Role, RoleName
from clients.models import unserved
from services.index.embedding import PATIENCE_S, Embedding, GaveUp, Pace, Stopping


class Time:
    """A clock that the sleeper moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> bool:
        self.slept.append(seconds)
        self.now += seconds
        return False


class Model:
    """Fails as told, then answers."""

    def __init__(self, *failures: RagqError) -> None:
        self.failures = list(failures)
        self.roles = ["embed"]

    def embed(
        self,
        texts: str | Iterable[str],
        role: Role = "document",
        *,
        model: str = "",
        dimension: int = 0,
        timeout_s: float | None = None,
    ) -> np.ndarray:
        if self.failures:
            raise self.failures.pop(0)
        return np.ones((len(list(texts)), 3), np.float32)

    def rerank(
        self,
        query: str,
        documents: Sequence[str],
        top_k: int | None = None,
        *,
        model: str = "",
        timeout_s: float | None = None,
    ) -> list[Ranked]:
        return []

    def model(self, role: RoleName, *, timeout_s: float | None = None) -> ModelInfo:
        return ModelInfo("embed", "m", "toy") if role in self.roles else unserved(role)


def test_a_busy_service_is_asked_again_with_growing_pauses() -> None:
    time, stages = Time(), []
    embedding = Embedding(Model(Busy("full"), DeadlineExceeded("slow"), Unreachable("gone")), time, time.sleep)
    model, vectors = embedding.documents(["a", "b"], lambda stage: not stages.append(stage))
    assert (model, vectors.shape) == ("m", (2, 3))
    assert time.slept == [0.5, 1.0, 2.0]
    assert stages[0] == "waiting for the LLM service: full"


def test_the_pause_that_a_busy_service_asks_for_is_kept() -> None:
    time = Time()
    Embedding(Model(Busy("full", retry_after_s=7.0)), time, time.sleep).documents(["a"], lambda stage: True)
    assert time.slept == [7.0]


def test_ten_minutes_are_enough() -> None:
    time = Time()
    embedding = Embedding(Model(*[Unreachable("gone")] * 500), time, time.sleep)
    with pytest.raises(GaveUp, match="10 minutes"):
        embedding.documents(["a"], lambda stage: True)
    assert PATIENCE_S <= time.now < PATIENCE_S + 30
    slept = len(time.slept)
    with pytest.raises(GaveUp):
        embedding.documents(["b"], lambda stage: True)
    assert len(time.slept) == slept


def test_an_outage_much_later_is_waited_for_anew() -> None:
    time = Time()
    model = Model(*[Unreachable("gone")] * 60)
    embedding = Embedding(model, time, time.sleep)
    with pytest.raises(GaveUp):
        embedding.documents(["a"], lambda stage: True)
    time.now += 3600
    model.failures = [Unreachable("gone")]
    assert embedding.documents(["b"], lambda stage: True)[0] == "m"


def test_a_refusal_is_not_waited_for() -> None:
    time = Time()
    with pytest.raises(BackendError):
        Embedding(Model(BackendError("broken")), time, time.sleep).documents(["a"], lambda stage: True)
    empty = Model()
    empty.roles = []
    with pytest.raises(ModelNotLoaded, match="no embedding model"):
        Embedding(empty, time, time.sleep).documents(["a"], lambda stage: True)
    assert time.slept == []


def test_waiting_ends_when_nobody_wants_it_or_the_service_stops() -> None:
    time = Time()
    with pytest.raises(Stopping):
        Embedding(Model(Busy("full")), time, time.sleep).documents(["a"], lambda stage: False)
    with pytest.raises(Stopping):
        Embedding(Model(Busy("full")), time, lambda seconds: True).documents(["a"], lambda stage: True)


def test_batches_grow_to_two_seconds() -> None:
    pace = Pace()
    for _ in range(9):
        pace.took(pace.size, pace.size * 0.002)
    assert pace.size == 512
    for _ in range(9):
        pace.took(pace.size, pace.size * 0.2)
    assert pace.size == 16
    pace.took(3, 0.001)
    assert pace.size == 16
