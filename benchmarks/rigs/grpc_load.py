"""A program that calls over gRPC, one channel for all: ``python -m benchmarks.rigs.grpc_load PORT``."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np

from benchmarks.rigs.grpc_server import OPTIONS
from benchmarks.rigs.load import IN_FLIGHT, Case, in_tasks, in_threads, obey, one_by_one

TEXTS = b"a passage of about forty characters, more" * 32


def cases(address: str) -> dict[str, Case]:
    """What can be asked for."""
    channel = grpc.insecure_channel(address, options=OPTIONS)
    grpc.channel_ready_future(channel).result(20)
    echo, embed = channel.unary_unary("/bench/echo"), channel.unary_unary("/bench/embed")
    write = channel.unary_stream("/bench/write")
    small, pool = bytes(100), ThreadPoolExecutor(IN_FLIGHT)
    return {
        "echo 100 B": one_by_one(lambda: echo(small)),
        "echo 10 KB": one_by_one(lambda: echo(bytes(10 << 10))),
        "echo 1 MiB": one_by_one(lambda: echo(bytes(1 << 20))),
        "embeddings": one_by_one(lambda: read(embed(TEXTS))),
        "stream of 200": one_by_one(lambda: sum(1 for _ in write(b""))),
        "64 threads, 100 B": in_threads(lambda: echo(small), pool),
        **awaited(address, small),
    }


def awaited(address: str, small: bytes) -> dict[str, Case]:
    """The same from a loop, over a channel that belongs to the loop."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    channel = grpc.aio.insecure_channel(address, options=OPTIONS)
    echo, embed = channel.unary_unary("/bench/echo"), channel.unary_unary("/bench/embed")

    async def embeddings() -> np.ndarray:
        return read(await embed(TEXTS))

    return {
        "64 tasks, 100 B": in_tasks(lambda: echo(small), loop),
        "64 tasks, embeddings": in_tasks(embeddings, loop),
    }


def read(raw: bytes) -> np.ndarray:
    """Embeddings as an array."""
    return np.frombuffer(raw, np.float32).reshape(32, 1024)


if __name__ == "__main__":
    obey(cases(f"127.0.0.1:{sys.argv[1]}"))
