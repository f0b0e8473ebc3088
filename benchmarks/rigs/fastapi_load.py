"""A program that calls FastAPI with httpx: ``python -m benchmarks.rigs.fastapi_load PORT bytes|JSON``."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np

from benchmarks.rigs.load import IN_FLIGHT, Case, in_tasks, in_threads, obey, one_by_one

TEXTS = ["a passage of about forty characters, more"] * 32
RAW = {"content-type": "application/octet-stream"}
LIMITS = httpx.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=IN_FLIGHT, keepalive_expiry=600)


def bytes_cases(url: str) -> dict[str, Case]:
    """Raw bodies."""
    client = httpx.Client(base_url=url, limits=LIMITS, timeout=60, trust_env=False)
    again = httpx.AsyncClient(base_url=url, limits=LIMITS, timeout=60, trust_env=False)
    loop, pool, texts = asyncio.new_event_loop(), ThreadPoolExecutor(IN_FLIGHT), "\n".join(TEXTS).encode()

    def echo(size: int) -> bytes:
        return client.post("/bytes/echo", content=bytes(size), headers=RAW).content

    async def echo_again() -> bytes:
        return (await again.post("/bytes/echo", content=bytes(100), headers=RAW)).content

    async def embed_again() -> np.ndarray:
        return read((await again.post("/bytes/embed", content=texts, headers=RAW)).content)

    def write() -> int:
        with client.stream("POST", "/bytes/write") as reply:
            return sum(1 for _ in reply.iter_lines())

    return {
        "echo 100 B": one_by_one(lambda: echo(100)),
        "echo 10 KB": one_by_one(lambda: echo(10 << 10)),
        "echo 1 MiB": one_by_one(lambda: echo(1 << 20)),
        "embeddings": one_by_one(lambda: read(client.post("/bytes/embed", content=texts, headers=RAW).content)),
        "stream of 200": one_by_one(write),
        "64 threads, 100 B": in_threads(lambda: echo(100), pool),
        "64 tasks, 100 B": in_tasks(echo_again, loop),
        "64 tasks, embeddings": in_tasks(embed_again, loop),
    }


def json_cases(url: str) -> dict[str, Case]:
    """JSON in and out."""
    client = httpx.Client(base_url=url, timeout=60, trust_env=False)

    def echo(size: int) -> str:
        return str(client.post("/json/echo", json={"text": "x" * size}).json()["text"])

    return {
        "echo 100 B": one_by_one(lambda: echo(100)),
        "echo 10 KB": one_by_one(lambda: echo(10 << 10)),
        "echo 1 MiB": one_by_one(lambda: echo(1 << 20)),
        "embeddings": one_by_one(
            lambda: np.array(client.post("/json/embed", json=TEXTS).json()["vectors"], np.float32)
        ),
    }


def read(raw: bytes) -> np.ndarray:
    """Embeddings as an array."""
    return np.frombuffer(raw, np.float32).reshape(32, 1024)


if __name__ == "__main__":
    address = f"http://127.0.0.1:{sys.argv[1]}"
    obey(json_cases(address) if sys.argv[2] == "JSON" else bytes_cases(address))
