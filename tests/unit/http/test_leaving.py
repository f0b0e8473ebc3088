"""Clients that go away, and clients that share the face."""

from __future__ import annotations

import json
import threading
import time
from functools import partial
from typing import Any

import anyio
import httpx
import pytest

from clients.errors import BackendError
from proxies.http import app
from proxies.http_stream import MAX_THREADS
from tests.unit.cli.desk import GENERATOR, Desk
from tests.unit.http.visits import HELLO


def scope(path: str) -> dict[str, Any]:
    return {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [(b"host", b"127.0.0.1")], "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
        "scheme": "http", "server": ("127.0.0.1", 7780), "client": ("127.0.0.1", 1),
    }  # fmt: skip


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_away_ends_the_generation(desk: Desk, stream: bool) -> None:
    desk.llm_side.endless = True
    sent: list[Any] = []

    async def visit() -> None:
        body = json.dumps({"model": GENERATOR, "messages": HELLO, "stream": stream}).encode()
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            if messages:
                return messages.pop()
            while desk.llm_side.num_tokens < 50:  # noqa: ASYNC110 - a thread counts, and it has no event to set
                await anyio.sleep(0.001)
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        with anyio.fail_after(10):
            await app(desk.config, desk)(scope("/v1/chat/completions"), receive, send)

    anyio.run(visit)
    stopped_at = desk.llm_side.num_tokens
    threading.Event().wait(0.02)
    assert desk.llm_side.num_tokens == stopped_at
    if stream:
        assert sent[0]["status"] == 200
        assert not any(b"[DONE]" in m.get("body", b"") for m in sent)


def test_two_streams_interleave(desk: Desk) -> None:
    """A slow client's stream does not hold up another's."""
    desk.llm_side.endless = True
    order: list[str] = []

    async def visit(name: str, num_chunks: int) -> None:
        body = json.dumps({"model": GENERATOR, "messages": HELLO, "stream": True}).encode()
        messages = [{"type": "http.request", "body": body, "more_body": False}]
        enough = anyio.Event()

        async def receive() -> Any:
            if messages:
                return messages.pop()
            await enough.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            order.append(name)
            if order.count(name) >= num_chunks:
                enough.set()

        await app(desk.config, desk)(scope("/v1/chat/completions"), receive, send)

    async def both() -> None:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(visit, "a", 20)
                group.start_soon(visit, "b", 20)

    began = time.monotonic()
    anyio.run(both)
    assert time.monotonic() - began < 10
    assert order.index("b") < len(order) - 1 - order[::-1].index("a")


def test_health_answers_while_every_other_thread_waits(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    release, waiting = threading.Event(), threading.Semaphore(0)

    def held(request: object) -> object:
        waiting.release()
        release.wait(20)
        raise BackendError("let go")

    monkeypatch.setattr(desk.llm_side, "embed", held)
    face = app(desk.config, desk)
    transport = httpx.ASGITransport(face)

    async def crowd() -> int:
        client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")
        async with client as http, anyio.create_task_group() as group:
            for _ in range(MAX_THREADS + 8):
                group.start_soon(partial(http.post, "/v1/embeddings", json={"input": "x"}))
            await anyio.to_thread.run_sync(lambda: [waiting.acquire(timeout=10) for _ in range(MAX_THREADS)])
            try:
                with anyio.fail_after(5):
                    return (await http.get("/health")).status_code
            finally:
                release.set()

    assert anyio.run(crowd) == 200
