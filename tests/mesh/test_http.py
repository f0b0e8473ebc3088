"""The HTTP face of a live mesh, through OpenAI's own client and plain HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest
import yaml

from clients import Ragq
from tests.conftest import ROOT, TOY, LiveMesh, environment, free_ports, merged, start_mesh

pytestmark = pytest.mark.mesh
COLLECTION = "wings"
QUESTION = "what gives lift to the plane?"


@pytest.fixture(scope="module")
def mesh(toy_mesh: LiveMesh) -> Ragq:
    mesh = toy_mesh.client()
    mesh.index.create_collection(COLLECTION, exist_ok=True)
    mesh.index.add(COLLECTION, texts=["The wing gives lift to the plane.", "The tail gives balance."]).wait(30)
    return mesh


@pytest.fixture(scope="module")
def base(toy_mesh: LiveMesh, mesh: Ragq) -> str:
    return url_of(toy_mesh)


def url_of(live: LiveMesh) -> str:
    url = f"http://127.0.0.1:{live.http_port}"
    assert_soon(lambda: is_healthy(url), f"the face does not start:\n{live.log.read_text(encoding='utf-8')}")
    return url


def is_healthy(url: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{url}/health", timeout=2).status_code == 200
    return False


def assert_soon(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


@pytest.fixture
def client(base: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{base}/v1", api_key="none", max_retries=0, timeout=20) as client:
        yield client


def ask(text: str) -> list[openai.types.chat.ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


def test_openai_lists_models_and_collections(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert "toy" in names
    assert f"collection/{COLLECTION}" in names
    assert client.models.retrieve("toy").owned_by == "ragq"


def test_openai_embeds_what_the_mesh_embeds(client: openai.OpenAI, mesh: Ragq) -> None:
    reply = client.embeddings.create(model="toy", input=["one wing", "two tails"])
    vectors = np.array([entry.embedding for entry in reply.data], np.float32)
    np.testing.assert_array_equal(vectors, mesh.llm.embed(["one wing", "two tails"]))
    assert reply.usage.prompt_tokens > 0


def test_openai_completes_whole_and_streamed(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="toy", messages=ask("hello there"))
    with client.chat.completions.create(
        model="toy", messages=ask("hello there"), stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert "hello there" in text
    assert whole.usage is not None
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens > 0


def test_openai_asks_a_collection_and_gets_citations(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(
        model=COLLECTION, messages=ask(QUESTION), extra_body={"ragq": {"answer": "extractive"}}
    )
    assert reply.choices[0].message.content == "The wing gives lift to the plane. [1]"
    detail = json.loads(reply.model_dump_json())["ragq"]
    assert detail["citations"][0]["quote"] == "The wing gives lift to the plane."
    assert detail["decision"]["route"] == "answer"


def test_openai_streams_an_answer_from_a_collection(client: openai.OpenAI) -> None:
    with client.chat.completions.create(model=COLLECTION, messages=ask(QUESTION), stream=True) as stream:
        chunks = list(stream)
    assert "lift" in "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert json.loads(chunks[-1].model_dump_json())["ragq"]["citations"]


def test_openai_raises_its_own_errors(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="nobody-has-this"):
        client.chat.completions.create(model="nobody-has-this", messages=ask("x"))
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="nobody-has-this", input="x")
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model="toy", input="")
    assert caught.value.param == "input[0]"


def test_rerank_orders_documents(base: str) -> None:
    body = {"query": "wing lift", "documents": ["a dog", "wing lift", "a wing"], "return_documents": True}
    found = httpx.post(f"{base}/v1/rerank", json=body, timeout=20).json()
    assert found["results"][0]["document"]["text"] == "wing lift"
    assert [r["index"] for r in found["results"]][-1] == 0
    assert found["model"]
    bare = httpx.post(f"{base}/rerank", json={"query": "wing lift", "texts": ["a dog", "wing lift"]}, timeout=20).json()
    assert bare == [{"index": 1, "score": 1.0}, {"index": 0, "score": 0.0}]


def test_what_cannot_be_reranked_or_embedded_is_the_callers_fault(base: str) -> None:
    for path, body, status in (
        ("/v1/rerank", {"query": "x", "documents": ["y"], "model": "nobody"}, 404),
        ("/v1/rerank", {"query": "x", "documents": ["y" * 400_001]}, 413),
        ("/v1/embeddings", {"input": "x", "dimensions": 100_000}, 400),
        ("/v1/score", {"text_1": "x", "text_2": ["y"], "model": "nobody"}, 404),
    ):
        response = httpx.post(f"{base}{path}", json=body, timeout=20)
        assert (response.status_code, response.json()["error"]["type"]) == (status, "invalid_request_error")


def test_health_and_metrics_speak_of_every_service(base: str) -> None:
    health = httpx.get(f"{base}/health", timeout=5).json()
    assert {s["service"]: s["state"] for s in health["services"]} == {"llm": "ready", "index": "ready"}
    assert 'ragq_workers{service="llm"} 1' in httpx.get(f"{base}/metrics", timeout=5).text


# -- clients that go away, and the process itself ------------------------------------------------------


@pytest.fixture(scope="module")
def slow_mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveMesh]:
    """A mesh whose generator takes its time."""
    settings = merged(TOY, {"llm": {"options": {"toy_token_s": 0.05}}})
    live = start_mesh(tmp_path_factory.mktemp("slow"), settings, ["proxy", "llm", "index", "http"])
    try:
        live.wait_ready()
        live.client().index.add(COLLECTION, texts=["The wing gives lift to the plane. " * 20]).wait(30)
        yield live
    finally:
        live.stop()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("model", ["toy", COLLECTION])
def test_a_client_that_goes_away_frees_the_worker(slow_mesh: LiveMesh, model: str, stream: bool) -> None:
    url, llm = url_of(slow_mesh), slow_mesh.client().client("llm")
    body = {"model": model, "messages": ask(f"{QUESTION} {'lift ' * 500}"), "stream": stream, "max_tokens": 500}
    with httpx.Client(base_url=url, timeout=20) as http, suppress(httpx.ReadTimeout):
        sent = http.build_request("POST", "/v1/chat/completions", json={**body, "ragq": {"answer": "written"}})
        sent.extensions["timeout"] = {"connect": 5, "read": 1.0, "write": 5, "pool": 5}
        response = http.send(sent, stream=True)
        parts = response.iter_bytes()
        next(parts)
        assert llm.status().running == 1
        response.close()
    assert_soon(lambda: llm.status().running == 0, "the generation goes on without its client")


def test_a_busy_port_is_exit_code_3(slow_mesh: LiveMesh) -> None:
    done = slow_mesh.run("http")
    assert done.returncode == 3
    assert str(slow_mesh.http_port) in done.stderr


def test_a_stopped_face_ends_with_code_0(slow_mesh: LiveMesh, tmp_path: Path) -> None:
    port = free_ports(1)[0]
    config = tmp_path / "ragq.yml"
    settings = yaml.safe_load(slow_mesh.config.read_text(encoding="utf-8"))
    config.write_text(yaml.safe_dump({**settings, "http": {"port": port}}), encoding="utf-8")
    command = [sys.executable, str(ROOT / "service.py"), "http", "--config", str(config)]
    face = subprocess.Popen(command, env=environment(tmp_path), stderr=subprocess.DEVNULL)
    try:
        assert_soon(lambda: is_healthy(f"http://127.0.0.1:{port}"), "the face does not start")
        face.terminate()
        assert face.wait(15) == 0
    finally:
        face.kill()
        face.wait()
