"""Vectors from a server, and what becomes of a server's faults."""

from __future__ import annotations

import base64
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.errors import BackendError, BadRequest, Busy, ConfigError, ModelNotLoaded, RagqError, Unreachable
from services.llm.backends.base import Embedder
from services.llm.backends.remote.texts import pack, unpack
from tests.unit.llm.remote.conftest import Loader
from tests.unit.llm.remote.scripted import HANG, HANG_UP, Reply, Scripted, as_json

PATH = "/v1/embeddings"


def vectors(*rows: list[float]) -> bytes:
    return as_json({"data": [{"index": i, "embedding": row} for i, row in enumerate(rows)]})


def embed(embedder: Embedder, *texts: str) -> list[np.ndarray]:
    return embedder.run(embedder.prepare(texts, "document"))


def test_vectors_come_in_the_order_of_the_texts_and_are_normalised(server: Scripted, remote: Loader) -> None:
    embedder = remote.embedder(server.model())
    packed = base64.b64encode(np.array([0, 2], "<f4").tobytes()).decode()
    server.on(PATH, as_json({"data": [{"index": 1, "embedding": [3, 4]}, {"index": 0, "embedding": packed}]}))
    first, second = embed(embedder, "a", "b")
    assert first.dtype == second.dtype == np.float32
    assert (first.tolist(), second.tolist()) == ([0.0, 1.0], [pytest.approx(0.6), pytest.approx(0.8)])


def test_base64_is_asked_for_and_given_up_where_it_is_refused(server: Scripted, remote: Loader) -> None:
    server.on(PATH, as_json({"error": {"message": "encoding_format: unknown"}}, 400), vectors([1.0]))
    embed(remote.embedder(server.model()), "a")
    assert [body["encoding_format"] for body in server.bodies(PATH)] == ["base64", "float", "float"]


def test_prefixes_and_instructions_are_put_in_front(server: Scripted, remote: Loader) -> None:
    options = {"query_prefix": "Instruct: {instruction}\nQuery:", "document_prefix": "passage: "}
    embedder = remote.embedder(server.model(instruction="Find it", options=options))
    embedder.run(embedder.prepare(["x"], "query"))
    embedder.run(embedder.prepare(["x"], "query", instruction="Other"))
    embedder.run(embedder.prepare(["日本語 🙂"], "document"))
    sent = [body["input"] for body in server.bodies(PATH)[1:]]
    assert sent == [["Instruct: Find it\nQuery:x"], ["Instruct: Other\nQuery:x"], ["passage: 日本語 🙂"]]


def test_a_long_batch_goes_in_several_requests(server: Scripted, remote: Loader) -> None:
    embedder = remote.embedder(server.model(options={"batch": 2}))
    server.on(PATH, vectors([1, 0], [0, 1]), vectors([1, 0]))
    assert np.array(embed(embedder, "a", "b", "c")).tolist() == [[1, 0], [0, 1], [1, 0]]
    assert [body["input"] for body in server.bodies(PATH)[1:]] == [["a", "b"], ["c"]]
    assert server.num_connections == 1


def test_a_shorter_dimension_is_asked_for_and_cut_where_the_server_does_not(server: Scripted, remote: Loader) -> None:
    server.on(PATH, vectors([3, 4, 12]))
    embedder = remote.embedder(server.model(dimension=2))
    assert embedder.card.dimension == 2
    assert embed(embedder, "a")[0].tolist() == [pytest.approx(0.6), pytest.approx(0.8)]
    assert server.bodies(PATH)[0]["dimensions"] == 2
    with pytest.raises(ModelNotLoaded, match="vectors of 3 numbers"):
        remote.embedder(server.model(dimension=4))


def test_further_fields_of_the_settings_go_along(server: Scripted, remote: Loader) -> None:
    remote.embedder(server.model(options={"body": {"keep_alive": "10m"}}))
    assert server.bodies(PATH)[0]["keep_alive"] == "10m"


def test_a_vector_per_token_is_refused_with_what_to_use(server: Scripted, remote: Loader) -> None:
    with pytest.raises(ConfigError, match="no vector per token") as caught:
        remote.embedder(server.model()).prepare(["a"], "query", wants_tokens=True)
    assert "llm.rerank" in caught.value.help


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"data": []}, "0 vectors for 2 texts"),
        ({"data": [{"index": 0, "embedding": [1, 0]}]}, "1 vectors for 2 texts"),
        ({"data": [{"index": 0, "embedding": [1, 0]}, {"index": 0, "embedding": [1, 0]}]}, "a vector for text 0"),
        ({"data": [{"index": 7, "embedding": [1, 0]}]}, "a vector for text 7, of 2"),
        ({"data": ["x"]}, "a vector for text"),
        ({"data": [{"embedding": [1, 0]}, {"embedding": [1, 0, 0]}]}, "expected 2"),
        ({"data": [{"embedding": [1, 0]}, {"embedding": [0, 0]}]}, "zeros"),
        ({"data": [{"embedding": [1, 0]}, {"embedding": [float("nan"), 0]}]}, "NaN"),
        ({"data": [{"embedding": [1, 0]}, {"embedding": [None, 0]}]}, "NaN|cannot be read"),
        ({"data": [{"embedding": [1, 0]}, {"embedding": None}]}, "shape"),
        ({"data": [{"embedding": [1, 0]}, {"embedding": [[1, 0]]}]}, "shape"),
        ({"data": [{"embedding": [1, 0]}, {"embedding": "AAA"}]}, "cannot be read"),
        ({"data": [{"embedding": [1, 0]}, {"embedding": "AAAA"}]}, "cannot be read"),
        ([], "no list 'data'"),
        ({"error": {"message": "oops"}}, "oops"),
    ],
)
def test_an_answer_that_is_no_vectors_is_an_error_of_the_backend(
    value: object, why: str, server: Scripted, remote: Loader
) -> None:
    embedder = remote.embedder(server.model())
    server.on(PATH, as_json(value))
    with pytest.raises(BackendError, match=why):
        embed(embedder, "a", "b")


def test_a_text_that_is_too_long_is_cut_and_does_not_spoil_its_batch(server: Scripted, remote: Loader) -> None:
    embedder = remote.embedder(server.model())
    too_long = as_json({"error": {"message": "This model's maximum context length is 4 tokens"}}, 400)
    server.on(PATH, too_long, vectors([1, 0]), too_long, vectors([0, 1]))
    assert np.array(embed(embedder, "short", "x" * 40)).tolist() == [[1, 0], [0, 1]]
    assert [body["input"] for body in server.bodies(PATH)[2:]] == [["short"], ["x" * 40], ["x" * 20]]


@pytest.mark.parametrize(
    "fault",
    [as_json({"error": "busy"}, 503, Retry_After="0"), as_json({}, 429, Retry_After="0.1"), HANG_UP],
    ids=["503", "429", "hang-up"],
)
def test_a_passing_fault_is_tried_again(fault: Reply, server: Scripted, remote: Loader) -> None:
    embedder = remote.embedder(server.model())
    server.on(PATH, fault, fault, vectors([1, 0]))
    assert embed(embedder, "a")[0].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("fault", "kind", "is_retryable", "num_asked"),
    [
        (as_json({"error": "busy"}, 503, Retry_After="0"), Busy, True, 3),
        (as_json({"error": "busy"}, 429, Retry_After="3600"), Busy, True, 1),
        (as_json({"error": "busy"}, 429, Retry_After="Fri, 01 Jan 2100 00:00:00 GMT"), Busy, True, 1),
        (as_json({"error": "oops"}, 500), BackendError, False, 1),
        (as_json({"error": "odd"}, 400), BadRequest, False, 1),
        (as_json({"error": {"message": "model m not found"}}, 404), ModelNotLoaded, False, 1),
        (HANG, BackendError, False, 1),
    ],
    ids=["503", "429-later", "429-date", "500", "400", "404", "silence"],
)
def test_a_lasting_fault_has_its_class(
    fault: Reply, kind: type[RagqError], is_retryable: bool, num_asked: int, server: Scripted, remote: Loader
) -> None:
    embedder = remote.embedder(server.model(timeout_s=1.0))
    server.asked.clear()
    server.on(PATH, fault)
    with pytest.raises(kind) as caught:
        embed(embedder, "a")
    assert type(caught.value) is kind
    assert caught.value.retryable is is_retryable
    assert len(server.asked) == num_asked


def test_a_server_that_died_is_told_quickly_and_found_again_when_it_is_back(remote: Loader) -> None:
    with Scripted() as server:
        server.on("/v1/models", as_json({"data": [{"id": "m"}]}))
        server.on(PATH, vectors([1, 0]))
        embedder = remote.embedder(server.model())
        port = server.port
    start = time.monotonic()
    with pytest.raises(Unreachable, match="refused") as caught:
        embed(embedder, "a")
    assert time.monotonic() - start < 2.0
    assert caught.value.retryable
    with Scripted(port_wanted=port) as server:
        server.on(PATH, vectors([1, 0]))
        assert embed(embedder, "a")[0].tolist() == [1, 0]


def test_a_connection_that_the_server_closed_meanwhile_is_not_used(server: Scripted, remote: Loader) -> None:
    embedder = remote.embedder(server.model())
    server.hang_up()
    assert len(embed(embedder, "a")[0]) == 2
    assert server.num_connections == 2


def test_threads_have_connections_of_their_own(server: Scripted, remote: Loader) -> None:
    embedder = remote.embedder(server.model(options={"streams": 3}))
    server.hold = threading.Barrier(3, timeout=10)
    threads = [threading.Thread(target=embed, args=(embedder, "a")) for _ in range(embedder.num_streams)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.num_connections == 3


def test_tokens_are_estimated_from_bytes() -> None:
    assert [len(pack(text)) for text in ("", "word", "words", "中文字", "🙂")] == [1, 1, 2, 3, 1]


@given(st.text(st.characters()))
def test_a_packed_text_is_whole_again_when_it_is_unpacked(text: str) -> None:
    assert unpack(pack(text)) == unpack(tuple(pack(text).tolist())) == text


def test_texts_arrive_as_they_are(server: Scripted, remote: Loader) -> None:
    text = "a\0é中🙂\udc80"
    embed(remote.embedder(server.model()), text)
    assert server.bodies(PATH)[-1]["input"] == [text]
