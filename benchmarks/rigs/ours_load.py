"""A program that calls the benchmark's service through ragq: ``python -m benchmarks.rigs.ours_load FRONT``."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from benchmarks.rigs.contract import ECHO, EMBED, NUM_TOKENS, SEND, TEXTS, WRITE, Blob, Texts, Wanted
from benchmarks.rigs.load import IN_FLIGHT, Case, in_tasks, in_threads, obey, one_by_one
from clients import AsyncClient, Client


def cases(client: Client) -> dict[str, Case]:
    """What can be asked for."""
    loop, pool = asyncio.new_event_loop(), ThreadPoolExecutor(IN_FLIGHT)
    echo = {size: partial(client.call, ECHO, Blob(bytes(size))) for size in (100, 10 << 10, 1 << 20)}
    embed, again = partial(client.call, EMBED, Texts(TEXTS)), AsyncClient.beside(client)
    return {
        "echo 100 B": one_by_one(echo[100]),
        "echo 10 KB": one_by_one(echo[10 << 10]),
        "echo 1 MiB": one_by_one(echo[1 << 20]),
        "embeddings": one_by_one(embed),
        "stream of 200": one_by_one(lambda: sum(1 for _ in client.stream(WRITE, Wanted(NUM_TOKENS)))),
        "64 threads, 100 B": in_threads(echo[100], pool),
        "64 tasks, 100 B": in_tasks(partial(again.call, ECHO, Blob(bytes(100))), loop),
        "64 tasks, embeddings": in_tasks(partial(again.call, EMBED, Texts(TEXTS)), loop),
        "256 MiB": one_by_one(lambda: sum(len(block.data) for block in client.stream(SEND, Wanted(256)))),
    }


if __name__ == "__main__":
    with Client(sys.argv[1], timeout_s=60.0) as client:
        obey(cases(client))
