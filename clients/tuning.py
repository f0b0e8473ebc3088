"""The contract of the Tuning service, and its typed client."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .client import Client
from .wire import Nothing, unary

TuningMethod = Literal["lora", "pissa", "state", "cross_encoder", "refrag"]
TuningStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Submit:
    """A tuning job to start; ``id`` is the caller's, so that sending it twice starts one job."""

    id: str
    method: TuningMethod
    base_model: str
    data: str
    settings: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TuningJob:
    """A tuning job as it stands.

    Attributes:
        progress: 0 to 1.
        metrics: latest value by name, such as ``loss``.
    """

    id: str
    method: TuningMethod
    status: TuningStatus
    progress: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TuningJobId:
    """Names a tuning job."""

    id: str


@dataclass(frozen=True, slots=True)
class TuningJobs:
    """Jobs, newest first."""

    jobs: list[TuningJob]


SUBMIT = unary("tuning.submit", Submit, TuningJob)
TUNING_JOB = unary("tuning.job", TuningJobId, TuningJob)
TUNING_JOBS = unary("tuning.jobs", Nothing, TuningJobs)
CANCEL_TUNING = unary("tuning.cancel", TuningJobId, TuningJob)
METHODS = (SUBMIT, TUNING_JOB, TUNING_JOBS, CANCEL_TUNING)


class TuningClient:
    """Tuning jobs, as plain calls."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def submit(self, method: TuningMethod, *, id: str, base_model: str, data: str, **settings: object) -> TuningJob:  # noqa: A002 - the word of the contract
        """Start a job; returns at once with its record."""
        return self._client.call(SUBMIT, Submit(id, method, base_model, data, settings))

    def job(self, id: str) -> TuningJob:  # noqa: A002
        """One job."""
        return self._client.call(TUNING_JOB, TuningJobId(id))

    def jobs(self) -> list[TuningJob]:
        """All jobs, newest first."""
        return self._client.call(TUNING_JOBS, Nothing()).jobs

    def cancel(self, id: str) -> TuningJob:  # noqa: A002
        """End a job."""
        return self._client.call(CANCEL_TUNING, TuningJobId(id))
