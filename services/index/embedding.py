"""Which vectors do texts have: the LLM service is asked, and waited for when it cannot be reached."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from clients.errors import BackendError, DeadlineExceeded, ModelNotLoaded, RagqError
from clients.llm import ModelInfo, Ranked, Role, RoleName
from clients.models import NOBODY
from clients.wire import Clock

PATIENCE_S = 600.0
CALL_TIMEOUT_S = 180.0
FIRST_DELAY_S = 0.5
MAX_DELAY_S = 15.0
NEW_OUTAGE_S = CALL_TIMEOUT_S + 60.0
MODELS_TIMEOUT_S = 10.0


class LLM(Protocol):
    """What this service needs of `clients.llm.LLMClient`."""

    def embed(
        self,
        texts: str | Iterable[str],
        role: Role = "document",
        *,
        model: str = "",
        dimension: int = 0,
        timeout_s: float | None = None,
    ) -> np.ndarray:
        """float32 [n, dim], rows of length one."""

    def rerank(
        self,
        query: str,
        documents: Sequence[str],
        top_k: int | None = None,
        *,
        model: str = "",
        timeout_s: float | None = None,
    ) -> list[Ranked]:
        """Documents by their scores, best first."""

    def model(self, role: RoleName, *, timeout_s: float | None = None) -> ModelInfo:
        """Which model fills a role."""


@dataclass(frozen=True, slots=True)
class Maker:
    """What makes the vectors of a collection: they mix with no other's.

    Attributes:
        model: empty means the one that serves.
        dimension: of the vectors; 0 means all that the model gives.
    """

    model: str = ""
    dimension: int = 0


SERVING = Maker()


class Stopping(Exception):
    """The service stops, or nobody wants the work any more."""


class GaveUp(BackendError):
    """The LLM service could not be reached for as long as it is worth waiting."""


def serving_model(llm: LLM, timeout_s: float = MODELS_TIMEOUT_S) -> str:
    """Name of the embedding model that serves now; ModelNotLoaded when there is none."""
    name = llm.model("embed", timeout_s=timeout_s).name
    if name != NOBODY:
        return name
    raise ModelNotLoaded(
        "the LLM service has no embedding model",
        help="set llm.embed.name in ragq.yml; ragq models list shows what is there",
    )


def embed_question(llm: LLM, question: str, maker: Maker, timeout_s: float) -> np.ndarray:
    """A question's vector by the model that made the vectors which it meets, float32 [1, dim]."""
    vectors = llm.embed([question], "query", model=maker.model, dimension=maker.dimension, timeout_s=timeout_s)
    return _checked(vectors, 1)


class Embedding:
    """Embeds texts of documents.

    Args:
        llm: the LLM service.
        clock: seconds, rising.
        wait: sleeps for some seconds; True when the service stops.
    """

    def __init__(self, llm: LLM, clock: Clock, wait: Callable[[float], bool]) -> None:
        self._llm = llm
        self._clock = clock
        self._wait = wait
        self._failing_since: float | None = None
        self._failed_at = 0.0

    def documents(
        self, texts: Sequence[str], waiting: Callable[[str], bool], maker: Maker = SERVING
    ) -> tuple[str, np.ndarray]:
        """The model's name and the vectors of texts.

        Args:
            texts: at least one.
            maker: what is to make them.
            waiting: told what is waited for; False when nobody wants the vectors any more.

        Returns:
            The model, and float32 [n, dim].

        Raises:
            Stopping: the service stops, or ``waiting`` said so.
            GaveUp: nobody answered for ten minutes; then every further call fails at its first try.
            RagqError: the LLM service refused; another try would fail too.
        """
        delay_s = FIRST_DELAY_S
        while True:
            try:
                # By its name: another one may serve by the time that the texts are embedded.
                model = maker.model or serving_model(self._llm)
                vectors = self._llm.embed(texts, model=model, dimension=maker.dimension, timeout_s=CALL_TIMEOUT_S)
            except RagqError as error:
                self._bear(error)
                if not waiting(f"waiting for the LLM service: {error.message}") or self._wait(
                    max(delay_s, error.retry_after_s)
                ):
                    raise Stopping from error
                delay_s = min(MAX_DELAY_S, 2 * delay_s)
            else:
                self._failing_since = None
                return model, _checked(vectors, len(texts))

    def _bear(self, error: RagqError) -> None:
        """Return when another try is worth it, else raise."""
        if not (error.retryable or isinstance(error, DeadlineExceeded)):
            raise error
        now = self._clock()
        if self._failing_since is None or now - self._failed_at > NEW_OUTAGE_S:
            self._failing_since = now
        self._failed_at = now
        lost_s = now - self._failing_since
        if lost_s >= PATIENCE_S:
            raise GaveUp(
                f"the LLM service could not be reached for {lost_s / 60:.0f} minutes: {error.message}",
                help="start it (ragq status shows what runs), then retry the document",
            ) from error


def _checked(vectors: np.ndarray, num_texts: int) -> np.ndarray:
    if vectors.ndim != 2 or len(vectors) != num_texts or not vectors.shape[1]:
        raise BackendError(f"the LLM service sent vectors of shape {vectors.shape} for {num_texts} texts")
    if not np.isfinite(vectors).all():
        raise BackendError(
            "the embedding model made vectors that are not numbers",
            help="load the model in fp32 or bf16 (llm.embed.dtype)",
        )
    return np.ascontiguousarray(vectors, np.float32)


class Pace:
    """How many chunks to embed at a time: about two seconds' worth, so that progress can be seen."""

    MIN, MAX = 16, 512
    LOW_S, HIGH_S = 1.0, 4.0

    def __init__(self) -> None:
        self.size = 64

    def took(self, num_chunks: int, seconds: float) -> None:
        """Learn from a batch that was full."""
        if num_chunks < self.size:
            return
        if seconds < self.LOW_S:
            self.size = min(self.MAX, 2 * self.size)
        elif seconds > self.HIGH_S:
            self.size = max(self.MIN, self.size // 2)
