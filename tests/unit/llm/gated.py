"""A toy model that waits at a gate, counts what it does and can fail; and how tests call and wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from services.llm.backends.base import Prepared
from services.llm.backends.toy import ToyEmbedder
from services.llm.role import Role
from services.llm.seat import M
from services.service import Call


class Gated(ToyEmbedder):
    """Its passes wait for ``gate``."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.batches: list[int] = []
        self.texts: list[Prepared] = []
        self.alone: list[bool] = []
        self.error: Exception | None = None
        self.is_closed = False

    def run(self, batch: Sequence[Prepared], *, is_alone: bool = False) -> list[np.ndarray]:
        self.entered.set()
        assert self.gate.wait(10)
        assert not self.is_closed
        self.batches.append(len(batch))
        self.texts += batch
        self.alone.append(is_alone)
        if self.error:
            raise self.error
        return super().run(batch)

    def close(self) -> None:
        self.is_closed = True


def call(timeout_s: float = 10.0) -> Call:
    return Call(time.monotonic() + timeout_s)


def until(condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
    """Wait for what another thread does."""
    by = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < by, "it did not happen in time"
        time.sleep(0.001)


def lent(role: Role[M], at: Call, wanted: str = "") -> M:
    """The model that a role lends now."""
    with role.lend(at, wanted) as model:
        return model
