"""What is a service, taken together from what its proxies say?"""

from __future__ import annotations

from clients.overview import MeshStatus, ProxyReport, together
from clients.status import ServiceStatus, WorkerStatus


def worker(name: str, state: str = "ready", running: int = 1) -> WorkerStatus:
    return WorkerStatus(name, 7, "here", state, 4, running)  # type: ignore[arg-type]


def report(number: int, state: str, *workers: WorkerStatus, **counts: float) -> ProxyReport:
    status = ServiceStatus("llm", state, list(workers), note="gone" if state == "down" else "", **counts)  # type: ignore[arg-type]
    return ProxyReport("llm", number, f"tcp://127.0.0.1:{number}", status)


def test_counts_of_proxies_are_added_and_a_worker_is_one_worker() -> None:
    first = report(0, "ready", worker("a"), worker("b"), queued=2, num_calls=10, num_failed=1, p95_s=0.1)
    second = report(1, "ready", worker("a", running=2), queued=3, num_calls=5, num_requeued=4, p95_s=0.3)
    found = together([first, second])
    assert (found.queued, found.num_calls, found.num_failed, found.num_requeued, found.p95_s) == (5, 15, 1, 4, 0.3)
    assert [(w.id, w.slots, w.running) for w in found.workers] == [("a", 8, 3), ("b", 4, 1)]


def test_a_service_is_as_good_as_its_best_proxy_and_says_what_is_lost() -> None:
    reports = [report(0, "down"), report(1, "ready", worker("a"))]
    found = together(reports)
    assert (found.state, found.note) == ("ready", "proxy 0: gone")
    mesh = MeshStatus([found], reports)
    assert (mesh.ready, mesh.whole) == (True, False)


def test_a_worker_that_one_proxy_misses_is_ready_where_it_is() -> None:
    found = together([report(0, "ready", worker("a", "suspect")), report(1, "ready", worker("a"))])
    assert [w.state for w in found.workers] == ["ready"]


def test_a_service_without_a_proxy_is_down() -> None:
    found = together([report(0, "down"), report(1, "down")])
    assert (found.state, found.note) == ("down", "gone")
