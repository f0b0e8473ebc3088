"""The service that the whole of ragq is measured with: handlers that cost nothing."""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path

import numpy as np

from benchmarks.rigs.contract import (
    BLOCK_BYTES,
    ECHO,
    EMBED,
    SEND,
    WRITE,
    Blob,
    Counted,
    Texts,
    Token,
    Vectors,
    Wanted,
)
from services.service import Call, Service, serves


class Echoes(Service):
    """Gives back what it is given."""

    name = "bench"
    slots = 8

    def start(self) -> None:
        """Write down when this process could begin to serve."""
        self.vectors = np.random.default_rng(0).random((32, 1024), dtype=np.float32)
        self.block = bytes(BLOCK_BYTES)
        if path := str(self.config.service("bench").options.get("loaded", "")):
            Path(path).write_text(repr(time.monotonic()), encoding="ascii")

    @serves(ECHO)
    def echo(self, request: Blob, _call: Call) -> Blob:
        return request

    @serves(EMBED)
    def embed(self, _request: Texts, _call: Call) -> Vectors:
        return Vectors(self.vectors, "none")

    @serves(WRITE)
    def write(self, request: Wanted, _call: Call) -> Generator[Token, None, Counted]:
        for _ in range(request.count):
            yield Token("token ")
        return Counted(request.count)

    @serves(SEND)
    def send(self, request: Wanted, _call: Call) -> Generator[Blob, None, Counted]:
        for _ in range(request.count):
            yield Blob(self.block)
        return Counted(request.count)
