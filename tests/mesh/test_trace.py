"""One request shows where its time went, through every process that worked for it."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator

import pytest

from clients import Ragq, Span, Text, traced, waterfall
from clients.errors import NotFound
from tests.conftest import LiveMesh
from tests.mesh.processes import until

pytestmark = pytest.mark.mesh
HEADER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture(scope="module")
def mesh(toy_mesh: LiveMesh) -> Iterator[Ragq]:
    mesh = toy_mesh.client()
    mesh.index.create_collection("traced")
    mesh.index.add("traced", texts=[Text("pump", "The pump needs oil every month.")]).wait()
    yield mesh
    mesh.index.delete_collection("traced")


def below(spans: list[Span], parent: str) -> dict[str, Span]:
    """The spans right below the one of a name, by name."""
    ids = {span.id for span in spans if span.name == parent}
    return {span.name: span for span in spans if span.parent in ids}


def test_a_search_shows_its_queue_its_worker_and_the_call_that_the_worker_made(mesh: Ragq) -> None:
    with traced("look") as trace:
        mesh.index.search("traced", "oil")
    top = below(trace.spans, "look")
    assert top["index.search"].where == "client"
    inside = below(trace.spans, "index.search")
    assert inside["queue"].where == "proxy"
    assert "embed" in inside
    assert {"dense", "keyword"} <= {span.name for span in trace.spans}
    embeds = [span for span in trace.spans if span.name == "llm.embed"]
    assert {span.where.partition(":")[0] for span in embeds} >= {"client"}
    assert len({span.where for span in trace.spans if ":" in span.where}) == 2, "two workers took part"
    assert waterfall(trace.spans).startswith("look ")


def test_a_whole_answer_is_one_trace(mesh: Ragq) -> None:
    with traced("ask") as trace:
        for _ in mesh.ask("traced", "How often does the pump need oil?", stream=True):
            pass
    assert {"index.search", "llm.extract"} <= below(trace.spans, "ask").keys()


def test_a_call_that_fails_says_so_in_its_span(mesh: Ragq) -> None:
    with traced("look") as trace, pytest.raises(NotFound):
        mesh.index.search("nothing", "oil")
    notes = {(span.where == "client", span.note) for span in trace.spans if span.name == "index.search"}
    assert notes == {(True, "NotFound"), (False, "NotFound")}


def test_a_stream_carries_its_spans_too(mesh: Ragq) -> None:
    with traced("write") as trace:
        for _ in mesh.llm.generate("hello", stream=True, max_tokens=5):
            pass
    assert {"queue", "llm.generate"} <= below(trace.spans, "llm.generate").keys()


def test_without_a_trace_nothing_travels(mesh: Ragq) -> None:
    with traced("look") as trace:
        pass
    mesh.index.search("traced", "oil")
    assert [span.name for span in trace.spans] == ["look"]


def test_the_command_line_shows_it(toy_mesh: LiveMesh, mesh: Ragq) -> None:
    shown = toy_mesh.run("search", "oil", "-c", "traced", "--trace", "--json")
    assert shown.returncode == 0
    assert shown.stdout.startswith("{")
    assert "index.search" in shown.stderr
    assert "━" in shown.stderr


def test_a_request_of_another_system_can_be_looked_up_by_its_trace(toy_mesh: LiveMesh) -> None:
    url = f"http://127.0.0.1:{toy_mesh.http_port}/v1/models"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"traceparent": HEADER})):
        pass

    def is_there() -> bool:
        return "llm.embed_model" in toy_mesh.run("trace", HEADER).stdout

    until(is_there)
    unknown = toy_mesh.run("trace", "f" * 32)
    assert unknown.returncode == 1
    assert "traceparent" in unknown.stderr
