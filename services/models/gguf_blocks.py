"""What numbers do the blocks of a quantised GGUF tensor stand for. Layouts: ggml-common.h of llama.cpp."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Q4_1 = np.dtype([("scale", "<f2"), ("least", "<f2"), ("low", "u1", (16,))])
Q5_0 = np.dtype([("scale", "<f2"), ("high", "<u4"), ("low", "u1", (16,))])
Q5_1 = np.dtype([("scale", "<f2"), ("least", "<f2"), ("high", "<u4"), ("low", "u1", (16,))])
Q4_K = np.dtype([("scale", "<f2"), ("least", "<f2"), ("parts", "u1", (12,)), ("low", "u1", (128,))])
Q5_K = np.dtype(
    [("scale", "<f2"), ("least", "<f2"), ("parts", "u1", (12,)), ("high", "u1", (32,)), ("low", "u1", (128,))]
)


def five_bits(blocks: np.ndarray) -> np.ndarray:
    """The integers, uint8 [n, 32], of Q5_0 and Q5_1 blocks."""
    high = (blocks["high"][:, None] >> np.arange(32, dtype=np.uint32) & 1).astype(np.uint8)
    integers: np.ndarray = _halves(blocks["low"], 16) | high << 4
    return integers


def _q4_1(blocks: np.ndarray) -> np.ndarray:
    return _above_least(blocks, _halves(blocks["low"], 16))


def _q5_1(blocks: np.ndarray) -> np.ndarray:
    return _above_least(blocks, five_bits(blocks))


def _above_least(blocks: np.ndarray, integers: np.ndarray) -> np.ndarray:
    values: np.ndarray = _float(blocks, "scale") * integers + _float(blocks, "least")
    return values


def _q4_k(blocks: np.ndarray) -> np.ndarray:
    return _parts(blocks, _halves(blocks["low"], 32))


def _q5_k(blocks: np.ndarray) -> np.ndarray:
    high = blocks["high"][:, None] >> np.arange(8, dtype=np.uint8)[:, None] & 1
    return _parts(blocks, _halves(blocks["low"], 32) | high.reshape(len(blocks), -1) << 4)


def _parts(blocks: np.ndarray, integers: np.ndarray) -> np.ndarray:
    """Values of blocks of eight parts, each with a scale and a minimum in six bits."""
    first, second, third = np.split(blocks["parts"], 3, axis=1)
    scales = np.concatenate([first & 63, third & 15 | first >> 6 << 4], axis=1)
    least = np.concatenate([second & 63, third >> 4 | second >> 6 << 4], axis=1)
    steps = (_float(blocks, "scale") * scales)[:, :, None]
    values: np.ndarray = steps * integers.reshape(-1, 8, 32) - (_float(blocks, "least") * least)[:, :, None]
    return values


def _halves(packed: np.ndarray, width: int) -> np.ndarray:
    """Four-bit integers: of each run of bytes the low halves, then the high ones."""
    runs = packed.reshape(len(packed), -1, 1, width)
    return np.concatenate([runs & 15, runs >> 4], axis=2).reshape(len(packed), -1)


def _float(blocks: np.ndarray, name: str) -> np.ndarray:
    column: np.ndarray = blocks[name][:, None].astype(np.float32)
    return column


# By type: the block, and what gives the float32 values of many, in their order.
VALUES: dict[str, tuple[np.dtype[np.void], Callable[[np.ndarray], np.ndarray]]] = {
    "Q4_1": (Q4_1, _q4_1),
    "Q5_1": (Q5_1, _q5_1),
    "Q4_K": (Q4_K, _q4_k),
    "Q5_K": (Q5_K, _q5_k),
}
