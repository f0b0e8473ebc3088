"""Callers of the older mesh: a REQ socket, one msgpack map, ``code`` with ``value`` or ``error``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zmq

from clients import Client, sockets
from tests.mesh.processes import Processes, processes, until

pytestmark = pytest.mark.mesh
TOY = {"name": "toy", "backend": "toy"}


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with llm(tmp_path_factory.mktemp("legacy")) as mesh:
        mesh.start_mesh(1)
        yield mesh


def llm(directory: Path) -> Any:
    return processes(directory, "", "llm", embed=TOY, rerank=TOY, generate=TOY)


@pytest.fixture
def caller(mesh: Processes) -> Iterator[zmq.Socket[bytes]]:
    with connected(zmq.REQ, mesh.address) as socket:
        yield socket


def connected(kind: int, address: str) -> zmq.Socket[bytes]:
    socket = sockets.context().socket(kind)
    socket.set(zmq.LINGER, 0)
    socket.set(zmq.RCVTIMEO, 10_000)
    socket.connect(address)
    return socket


def ask(socket: zmq.Socket[bytes], request: object) -> Any:
    socket.send(msgpack.packb(request))
    return msgpack.unpackb(socket.recv())


def test_a_req_socket_gets_embeddings(caller: zmq.Socket[bytes]) -> None:
    answer = ask(caller, {"cmd": "GET_EMBEDDINGS", "texts": ["hello", "你好"]})
    assert answer["code"] == 200
    assert len(answer["value"]) == 2
    assert abs(sum(x * x for x in answer["value"][1]) - 1) < 1e-3


def test_commands_are_read_in_any_case_and_one_socket_asks_many_times(caller: zmq.Socket[bytes]) -> None:
    pairs = {"cmd": "get_cross_scores", "texts_0": ["wing"] * 3, "texts_1": ["wing", "tail", "gear"]}
    for _ in range(20):
        answer = ask(caller, pairs)
        assert answer["code"] == 200
        assert len(answer["value"]) == 3


def test_more_texts_than_one_call_takes_are_embedded(caller: zmq.Socket[bytes]) -> None:
    answer = ask(caller, {"cmd": "GET_EMBEDDINGS", "texts": [f"text {i}" for i in range(150)]})
    assert (answer["code"], len(answer["value"])) == (200, 150)


def test_text_is_generated(caller: zmq.Socket[bytes]) -> None:
    request = {"cmd": "SAMPLING_GENERATE", "instruction": "Say it", "input_text": "hello", "token_count": 8, "top_p": 0}
    answer = ask(caller, request)
    assert answer["code"] == 200
    assert isinstance(answer["value"], str)


def test_the_number_of_tokens_and_the_whole_prompt_are_the_callers(caller: zmq.Socket[bytes]) -> None:
    template = {"cmd": "SAMPLING_GENERATE", "template_prompt": "one two three four", "token_count": 4}
    assert ask(caller, template)["value"] == "You said: one two"
    request = {"cmd": "GENERATE_TEXTS", "instruction": "Say it", "input_text": "hello"}
    assert ask(caller, request)["value"] == "You said: hello\n\nSay it"


def test_top_p_0_is_greedy_and_others_sample(caller: zmq.Socket[bytes]) -> None:
    request = {"cmd": "SAMPLING_GENERATE", "instruction": "a b c d e f g h i j k l m n", "temperature": 2.0}
    assert ask(caller, {**request, "top_p": 0})["value"] == "You said: a b c d e f g h i j k l m n"
    assert len({ask(caller, {**request, "top_p": 1.0})["value"] for _ in range(4)}) > 1


def test_a_beam_search_gives_texts_with_their_probability_and_number(caller: zmq.Socket[bytes]) -> None:
    answer = ask(caller, {"cmd": "BEAM_GENERATE", "instruction": "a b c", "num_beams": 3, "token_count": 6})
    assert [number for _, _, number in answer["value"]] == [0, 1, 2]
    texts, probabilities = {text for text, _, _ in answer["value"]}, [p for _, p, _ in answer["value"]]
    assert len(texts) == 3
    assert sorted(probabilities, reverse=True) == probabilities
    assert 0.0 < probabilities[-1] <= probabilities[0] < 1.0


def test_the_writing_model_is_exchanged_and_a_wrong_request_keeps_it(
    mesh: Processes, caller: zmq.Socket[bytes]
) -> None:
    def notes() -> str:
        status = mesh.status()
        return status.workers[0].note if status else ""

    reload = {"cmd": "RELOAD_BASE_MODEL", "base_model_path": "toy-two"}
    assert ask(caller, reload) == {"code": 200, "value": "ok"}
    until(lambda: "generate toy (ready; chosen instead of toy)" in notes())
    for wrong in (None, 5):
        refused = ask(caller, {**reload, "base_model_path": wrong})
        assert refused == {"code": 400, "error": "base_model_path: a text is needed"}
    assert "chosen instead" in notes()
    assert ask(caller, {"cmd": "GENERATE_TEXTS", "instruction": "hello"})["value"] == "You said: hello"
    assert ask(caller, {"cmd": "reload_base_model", "base_model_path": ""})["code"] == 200
    until(lambda: "generate toy (ready)" in notes())


@pytest.mark.parametrize(
    ("request_map", "told"),
    [
        ({"cmd": "GET_EMBEDING", "texts": ["a"]}, "did you mean 'GET_EMBEDDINGS'?"),
        ({"cmd": "GET_EMBEDDINGS"}, "texts: a text or a list of texts is needed"),
        ({"cmd": "GET_EMBEDDINGS", "texts": [1]}, "texts: a text or a list of texts is needed"),
        ({"cmd": "GET_CROSS_SCORES", "texts_0": ["a"], "texts_1": []}, "texts_0 has 1 texts, texts_1 has 0"),
        ({"cmd": "SAMPLING_GENERATE", "instruction": "a", "stream_output": True}, "stream_output: one reply"),
        ({"cmd": "SAMPLING_GENERATE", "instruction": "a", "token_count": 1.5}, "token_count: a whole number"),
        ({"cmd": "SAMPLING_GENERATE", "instruction": "a", "state_file": "poet.pth"}, "unsupported control 'state'"),
        ({"cmd": "SAMPLING_GENERATE", "instruction": "a", "base_model_path": "/m/other"}, "no model 'other'"),
        ({"cmd": "BEAM_GENERATE", "instruction": "a", "num_beams": 99}, "beams is 99"),
        ({"cmd": "GET_EMBEDDINGS", "texts": ["a"], "bgem3_path": "/m/bge-m3"}, "no model 'bge-m3'"),
        ({"cmd": "GET_CROSS_SCORES", "texts_0": ["a"], "texts_1": ["b"], "rerank_path": "/m/x"}, "no model 'x'"),
        ({"texts": ["a"]}, "a request is a msgpack map with a text 'cmd'"),
        (["GET_EMBEDDINGS"], "a request is a msgpack map with a text 'cmd'"),
        ("hello", "a request is a msgpack map with a text 'cmd'"),
        (None, "a request is a msgpack map with a text 'cmd'"),
    ],
    ids=str,
)
def test_a_wrong_request_is_answered_with_the_reason(caller: zmq.Socket[bytes], request_map: object, told: str) -> None:
    answer = ask(caller, request_map)
    assert answer["code"] == 400
    assert told in answer["error"]


@pytest.mark.parametrize(
    "raw",
    [b"", b"\xc1", b"\x81\xa3cmd", b"\xdf\xff\xff\xff\xff", b"\x92" * 2000, b"{}"],
    ids=["nothing", "reserved byte", "cut off", "a long map", "deep", "JSON"],
)
def test_bytes_that_are_no_msgpack_are_answered_and_harm_nobody(
    mesh: Processes, caller: zmq.Socket[bytes], raw: bytes
) -> None:
    caller.send(raw)
    answer = msgpack.unpackb(caller.recv())
    assert (answer["code"], set(answer)) == (400, {"code", "error"})
    assert ask(caller, {"cmd": "LLM_CONFIG"})["code"] == 200
    assert all(process.poll() is None for process in mesh.started)


def test_a_dealer_with_an_empty_frame_first_gets_the_same(mesh: Processes) -> None:
    with connected(zmq.DEALER, mesh.address) as dealer:
        dealer.send_multipart([b"", msgpack.packb({"cmd": "LLM_CONFIG"})])
        empty, answer = dealer.recv_multipart()
    assert empty == b""
    assert msgpack.unpackb(answer)["value"]["embed"]["name"] == "toy"


@pytest.mark.parametrize("frames", [[], [b"a", b"b"]], ids=["none", "two"])
def test_another_number_of_frames_is_answered_with_the_reason(mesh: Processes, frames: list[bytes]) -> None:
    with connected(zmq.DEALER, mesh.address) as dealer:
        dealer.send_multipart([b"", *frames])
        answer = msgpack.unpackb(dealer.recv_multipart()[1])
    assert answer["code"] == 400
    assert f"{len(frames)} frames came" in answer["error"]


@pytest.mark.slow
def test_without_a_worker_the_older_caller_is_told_in_the_end(tmp_path: Path) -> None:
    with llm(tmp_path) as mesh:
        mesh.start("proxy")
        until(lambda: mesh.status() is not None)
        with connected(zmq.REQ, mesh.address) as socket:
            socket.set(zmq.RCVTIMEO, 25_000)
            answer = ask(socket, {"cmd": "LLM_CONFIG"})
    assert answer["code"] == 400
    assert "the service has no worker" in answer["error"]


def test_older_and_newer_callers_share_a_service(mesh: Processes, caller: zmq.Socket[bytes]) -> None:
    from clients.llm import LLMClient

    with Client(mesh.address) as client:
        vectors = LLMClient(client).embed(["hello"])
        older = ask(caller, {"cmd": "GET_EMBEDDINGS", "texts": ["hello"]})["value"]
    assert older == vectors.tolist()
