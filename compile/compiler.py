"""What does a compiler make of a net's text, whichever way it is called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from clients.errors import ConfigError

from .mlir import Text

MODES: dict[str, str] = {"bf16": "BF16", "f16": "F16", "w8": "W8BF16"}
CHIP = "bm1684x"
# Weights of W8 share a scale in groups of so many inputs.
GROUP = 64
WEIGHTS = "weights.npz"
# The names of operations that stay in float32.
EXACT = "exact.txt"
PROFILE = "compiler_profile_0.txt"
RUNTIME = re.compile(r"runtime: ([0-9.]+)ms")


@dataclass(frozen=True, slots=True)
class Compiled:
    """A net that came out.

    Attributes:
        latency_ms: of a pass, by the compiler's own model of the chip.
    """

    name: str
    path: Path
    latency_ms: float


class Compiler(Protocol):
    """TPU-MLIR, unpacked or installed.

    Attributes:
        name: with its version.
    """

    name: str

    def compile(self, text: Text, name: str, weights: Path, work: Path, mode: str) -> Compiled:
        """Compile one net in a directory of its own below ``work``.

        Args:
            name: of the net.
            text: of ``Graph.text``; its weight file is ``WEIGHTS``.
            weights: the .npz, which is linked into that directory.
            work: a directory.
            mode: from ``mode_of``.

        Raises:
            BackendError: the compiler failed.
        """
        ...

    def combine(self, parts: Sequence[Path], whole: Path) -> None:
        """Put nets into one file; weights that are the same bytes are stored once.

        Raises:
            BackendError: it failed.
        """
        ...


def mode_of(dtype: str) -> str:
    """The compiler's word for a dtype.

    Raises:
        ConfigError: there is none, or it computes wrong vectors.
    """
    if dtype in ("f32", "fp32"):
        raise ConfigError(
            "f32 is not offered: the fused attention of this compiler gives wrong vectors in f32 (cosine -0.07) "
            "without any error, and the chip would be ten times slower",
            help="take bf16, as the checkpoint, or f16",
        )
    if dtype not in MODES:
        raise ConfigError(f"no dtype '{dtype}'", help=f"known: {', '.join(MODES)}")
    return MODES[dtype]


def address_mode(text: Text) -> str:
    """The compiler's word for where inputs and outputs lie."""
    return "io_alone" if text.is_apart else "auto"


def latency(profile: Path) -> float:
    """Milliseconds of a pass, the last word of a compiler's profile; 0 for a net that only copies, which has none."""
    found = RUNTIME.findall(profile.read_text(encoding="utf-8", errors="replace")) if profile.is_file() else []
    return float(found[-1]) if found else 0.0
