"""Is what a scraper gets in the official text format, and is it true?"""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.overview import MeshStatus, ProxyReport, together
from clients.status import Latency, MethodStats, Outcome, ServiceStats, ServiceStatus, WorkerStatus
from proxies.exposition import Family, Sample, histogram, number, text
from proxies.http_status import metrics
from tests.unit.http.reader import read

LATENCY = Latency([3, 2, 1], 4.5)
STATS = ServiceStats(
    "llm", 61.5, [0.1, 1.0],
    [MethodStats("llm.embed", [Outcome(0, "", 6), Outcome(14, "WORKER_LOST", 2)], LATENCY, LATENCY, LATENCY)],
    waiting=[4, 9], waiting_bytes=12_345_678, slots=16, running=3, workers={"ready": 2, "stuck": 1},
    requeued=5, nacks=7, refusals={"QUEUE_FULL": 11}, losses={"gone": 1},
    refused_connections=13, cpu_s=2.25, rss_bytes=45_678_901,
)  # fmt: skip


def mesh() -> MeshStatus:
    worker = WorkerStatus("w", 12, "here", "ready", 8, 3, rss_bytes=212_345_678)
    up = ProxyReport("llm", 0, "tcp://a", ServiceStatus("llm", "ready", [worker], num_calls=8, num_failed=2), STATS)
    down = ProxyReport("llm", 1, "tcp://b", ServiceStatus("llm", "down", note="nobody answers"))
    return MeshStatus([together([up, down])], [up, down])


def test_what_the_proxies_counted_is_told_with_all_digits() -> None:
    found = read(metrics(mesh()))
    here = {"service": "llm", "proxy": "0"}
    assert found.value("ragq_queue_calls", **here, lane="bulk") == 9
    assert found.value("ragq_queue_bytes", **here) == 12_345_678
    assert found.value("ragq_proxy_cpu_seconds_total", **here) == 2.25
    assert found.value("ragq_proxy_resident_bytes", **here) == 45_678_901
    assert found.value("ragq_refused_connections_total", **here) == 13
    assert found.value("ragq_refusals_total", **here, reason="QUEUE_FULL") == 11
    assert found.value("ragq_proxy_workers", **here, state="stuck") == 1
    lost = {"method": "llm.embed", "code": "14", "reason": "WORKER_LOST"}
    assert found.value("ragq_method_calls_total", **here, **lost) == 2
    assert found.value("ragq_resident_bytes", service="llm") == 212_345_678


def test_durations_are_cumulative_histograms() -> None:
    found = read(metrics(mesh()))
    labels = {"service": "llm", "proxy": "0", "method": "llm.embed", "part": "queue"}
    name = "ragq_call_duration_seconds"
    buckets = [found.value(f"{name}_bucket", **labels, le=le) for le in ("0.1", "1", "+Inf")]
    assert buckets == [3, 5, 6]
    assert (found.value(f"{name}_sum", **labels), found.value(f"{name}_count", **labels)) == (4.5, 6)


def test_a_proxy_that_is_down_is_down_and_the_rest_is_told() -> None:
    found = read(metrics(mesh()))
    assert found.value("ragq_up", service="llm", proxy="0") == 1
    assert found.value("ragq_up", service="llm", proxy="1") == 0
    assert found.value("ragq_service_state", service="llm", state="ready") == 1


def test_a_mesh_without_an_answer_is_told_too() -> None:
    down = ServiceStatus("llm", "down")
    found = read(metrics(MeshStatus([down], [ProxyReport("llm", 0, "tcp://a", down)])))
    assert found.value("ragq_up", service="llm", proxy="0") == 0


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_any_label_comes_back_as_it_was(value: str) -> None:
    found = read(text([Family("x", "gauge", "One\nor\\two.", [Sample({"name": value}, 1.5)])]))
    assert found.value("x", name=value) == 1.5


@given(st.floats(allow_nan=False) | st.integers(-(2**53), 2**53))
def test_a_number_keeps_all_of_its_digits(value: float) -> None:
    assert float(number(value).replace("Inf", "inf")) == value


def test_numbers_beyond_all_numbers_have_their_names() -> None:
    assert [number(value) for value in (math.inf, -math.inf, math.nan, 3.0, 0.25)] == [
        "+Inf",
        "-Inf",
        "NaN",
        "3",
        "0.25",
    ]


def test_counts_that_do_not_fit_their_bounds_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        list(histogram({}, [0.1], [1, 2, 3], 0.0))
