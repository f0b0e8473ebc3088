"""Failures behind the face: their statuses, and what a caller may see of them."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from clients.errors import (
    BY_REASON,
    BackendError,
    Busy,
    DeadlineExceeded,
    Internal,
    ModelNotLoaded,
    NotFound,
    RagqError,
)
from proxies.http_errors import STATUS, status_of
from tests.unit.cli.desk import Desk


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (NotFound("no model"), 404, "invalid_request_error"),
        (ModelNotLoaded("no reranker"), 503, "server_error"),
        (DeadlineExceeded("too slow"), 504, "server_error"),
        (BackendError("out of memory"), 502, "server_error"),
        (Internal("defect 7"), 500, "server_error"),
    ],
)
def test_failures_have_their_status(http: TestClient, desk: Desk, error: RagqError, status: int, kind: str) -> None:
    desk.llm_side.error = error
    response = http.post("/rerank", json={"query": "x", "documents": ["y"]})
    assert (response.status_code, response.json()["error"]["type"]) == (status, kind)
    assert response.json()["error"]["code"] == error.reason.lower()


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/embeddings", {"input": "x"}), ("/rerank", {"query": "x", "documents": ["y"]})]
)
def test_a_full_queue_tells_when_to_come_back(http: TestClient, desk: Desk, path: str, body: dict[str, object]) -> None:
    desk.llm_side.error = Busy("the queue is full", retry_after_s=2.2)
    response = http.post(path, json=body)
    assert (response.status_code, response.headers["retry-after"]) == (429, "2")
    assert response.json()["error"]["type"] == "rate_limit_error"


def test_every_error_that_travels_has_a_status_of_its_own() -> None:
    for cls in BY_REASON.values():
        assert cls is RagqError or any(parent in STATUS for parent in cls.__mro__ if parent is not RagqError), cls
    assert {status_of(cls("x")) for cls in STATUS} <= {400, 403, 404, 409, 413, 424, 429, 499, 500, 501, 502, 503, 504}


def test_a_defect_is_500_with_a_number_and_no_trace(
    http: TestClient, desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(desk.llm_side, "embed_model", lambda _: 1 / 0)
    response = http.get("/v1/models")
    assert response.status_code == 500
    assert "ZeroDivision" not in response.text
    number = response.json()["error"]["message"].split()[-1]
    assert number in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_health_says_which_service_is_down(http: TestClient, desk: Desk) -> None:
    assert http.get("/health").json()["status"] == "ready"
    desk.down.add("llm")
    response = http.get("/health")
    assert response.status_code == 503
    assert [s["state"] for s in response.json()["services"]] == ["down", "ready"]


def test_metrics_are_in_prometheus_format(http: TestClient) -> None:
    lines = http.get("/metrics").text.splitlines()
    assert 'ragq_calls_total{service="llm"} 7' in lines
    assert 'ragq_service_state{service="index",state="ready"} 1' in lines
    assert all(line.startswith("# ") or len(line.split(" ")) == 2 for line in lines)
