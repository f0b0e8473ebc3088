"""Callers of one server, each with one text in a request: ``python -m benchmarks.serving.load KIND ADDRESS TOKENIZER``.

A line of JSON comes in, ``{"mix": "documents", "callers": 8, "count": 64, "seed": 1}``, and a line goes out.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import numpy as np

from benchmarks.serving.texts import Mix

MAX_CALLERS = 32
TIMEOUT_S = 600
Embed = Callable[[str], list[float]]
HTTP = {
    "infinity": ("/embeddings", lambda t: {"model": "minilm", "input": [t]}, lambda r: r["data"][0]["embedding"]),
    "fastapi": ("/embed", lambda t: {"text": t}, lambda r: r["embedding"]),
    "litserve": ("/predict", lambda t: {"text": t}, lambda r: r["embedding"]),
    "mosec": ("/inference", lambda t: {"text": t}, lambda r: r["embedding"]),
    "ragq-http": ("/v1/embeddings", lambda t: {"input": t}, lambda r: r["data"][0]["embedding"]),
}


def over_http(kind: str, port: int) -> Embed:
    """A call that keeps a connection for each thread."""
    path, asked, answered = HTTP[kind]
    local = threading.local()

    def posted(text: str) -> tuple[int, bytes]:
        local.connection.request("POST", path, json.dumps(asked(text)), {"Content-Type": "application/json"})
        reply = local.connection.getresponse()
        return reply.status, reply.read()

    def embed(text: str) -> list[float]:
        if not hasattr(local, "connection"):
            local.connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
        try:
            status, body = posted(text)
        except ConnectionError:  # servers close connections that were idle for some seconds
            local.connection.close()
            status, body = posted(text)
        if status != 200:
            raise RuntimeError(f"{kind} answers {status}: {body[:300]!r}")
        vector: list[float] = answered(json.loads(body))
        return vector

    return embed


def over_the_mesh(address: str) -> Embed:
    """A call through ragq's client."""
    from clients.client import Client
    from clients.llm import LLMClient

    llm = LLMClient(Client(address, timeout_s=TIMEOUT_S))
    return lambda text: llm.embed(text)[0]  # type: ignore[return-value]  # an array is as good as a list here


def run(embed: Embed, texts: list[str], pool: ThreadPoolExecutor, num_callers: int) -> dict[str, float]:
    """Each caller takes the next text when it has its answer; the time of every call."""
    waiting = iter(texts)
    lock = threading.Lock()
    took: list[float] = []

    def call_all(_: int) -> None:
        while True:
            with lock:
                text = next(waiting, None)
            if text is None:
                return
            began = time.perf_counter()
            embed(text)
            took.append(time.perf_counter() - began)

    began = time.perf_counter()
    list(pool.map(call_all, range(num_callers)))
    seconds = time.perf_counter() - began
    p50, p99 = np.percentile(took, [50, 99])
    return {"calls": len(took), "seconds": seconds, "p50_ms": p50 * 1e3, "p99_ms": p99 * 1e3}


def main() -> None:
    kind, address, tokenizer = sys.argv[1:]
    embed = over_the_mesh(address) if kind == "ragq" else over_http(kind, int(address))
    mix, pool = Mix(tokenizer), ThreadPoolExecutor(MAX_CALLERS)
    print(json.dumps([float(value) for value in embed(mix.texts("documents", 1, -1)[0])]), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        texts = mix.texts(order["mix"], order["count"], order["seed"])
        print(json.dumps(run(embed, texts, pool, order["callers"])), flush=True)


if __name__ == "__main__":
    main()
