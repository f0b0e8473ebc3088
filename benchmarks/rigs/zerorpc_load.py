"""A program that calls over zerorpc: ``python -m benchmarks.rigs.zerorpc_load PORT``.

Its loop is gevent's, so there are no cases with threads or asyncio.
"""

from __future__ import annotations

import sys

import numpy as np
import zerorpc

from benchmarks.rigs.load import Case, obey, one_by_one

TEXTS = ["a passage of about forty characters, more"] * 32


def cases(client: zerorpc.Client) -> dict[str, Case]:
    """What can be asked for."""
    return {
        "echo 100 B": one_by_one(lambda: client.echo(bytes(100))),
        "echo 10 KB": one_by_one(lambda: client.echo(bytes(10 << 10))),
        "echo 1 MiB": one_by_one(lambda: client.echo(bytes(1 << 20))),
        "embeddings": one_by_one(lambda: np.frombuffer(client.embed(TEXTS), np.float32).reshape(32, 1024)),
        "stream of 200": one_by_one(lambda: sum(1 for _ in client.write(200))),
    }


if __name__ == "__main__":
    client = zerorpc.Client(timeout=60, heartbeat=None)
    client.connect(f"tcp://127.0.0.1:{sys.argv[1]}")
    obey(cases(client))
