"""zerorpc with plain bytes: ``python -m benchmarks.rigs.zerorpc_server PORT``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import zerorpc

EMBEDDINGS = os.urandom(32 * 1024 * 4)


class Echoes:
    def echo(self, data: bytes) -> bytes:
        return data

    def embed(self, _texts: list[str]) -> bytes:
        return EMBEDDINGS

    @zerorpc.stream
    def write(self, count: int) -> Iterator[str]:
        yield from ["token "] * count


if __name__ == "__main__":
    server = zerorpc.Server(Echoes())
    server.bind(f"tcp://127.0.0.1:{sys.argv[1]}")
    server.run()
