"""What the benchmark's own service is asked and answers; every stack is given the same payloads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clients.wire import Method, unary

NUM_TOKENS = 200
BLOCK_BYTES = 1 << 20
TEXTS = ["a passage of about forty characters, more"] * 32


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes that come back."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Texts:
    """What a program sends to have texts embedded."""

    texts: list[str]
    role: str = "document"


@dataclass(frozen=True, slots=True)
class Vectors:
    """One float32 row for each text."""

    vectors: np.ndarray
    model: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many events."""

    count: int


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a written answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Counted:
    """How many events there were."""

    count: int


ECHO = unary("bench.echo", Blob, Blob)
EMBED = unary("bench.embed", Texts, Vectors)
WRITE = Method("bench.write", Wanted, Counted, Token)
SEND = Method("bench.send", Wanted, Counted, Blob)
