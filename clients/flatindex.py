"""How is a flat FAISS index file read and written: by its bytes, so that no library has to open what strangers made.

The format, as FAISS 1.15 writes it (faiss/impl/index_write.cpp): a name of four letters, the dimension (int32), the
number of vectors (int64), two unused int64, a byte that says it is trained, the metric (int32), the number of floats
(uint64), and the floats, all little endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from .errors import BadRequest

Metric = Literal["ip", "l2"]
NAMES: dict[bytes, Metric] = {b"IxFI": "ip", b"IxF2": "l2"}
NUMBERS: dict[Metric, int] = {"ip": 0, "l2": 1}
HEAD = struct.Struct("<4siqqqBiQ")
UNUSED = 1 << 20
MAX_DIMENSION = 1 << 16
# A vector made by a model that normalises differs from length one by rounding only.
UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class FlatIndex:
    """Vectors with the way they are compared.

    Attributes:
        vectors: float32 [n, dim].
    """

    metric: Metric
    vectors: np.ndarray

    @property
    def is_unit(self) -> bool:
        """Whether all vectors have length one: inner product, distance and cosine then give one order."""
        lengths = np.linalg.norm(self.vectors.astype(np.float64), axis=1)
        return bool((np.abs(lengths - 1) < UNIT_TOLERANCE).all())


def read_flat(path: Path) -> FlatIndex:
    """The vectors of a flat index file.

    Raises:
        BadRequest: it cannot be read, is of another kind, or is damaged.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadRequest(f"cannot read {path}: {error.strerror or error}") from error
    if len(raw) < HEAD.size or raw[:4] not in NAMES:
        raise BadRequest(
            f"{path.name} is no flat FAISS index: it begins with {raw[:4]!r}",
            help="IndexFlatIP and IndexFlatL2 can be read; from another kind, index.reconstruct_n(0, index.ntotal) "
            "gives the vectors for one, or embed the texts anew with ragq add",
        )
    name, dimension, number, _, _, _, metric, num_floats = HEAD.unpack_from(raw)
    is_sound = 0 < dimension <= MAX_DIMENSION and num_floats == number * dimension and number >= 0
    if not is_sound or metric != NUMBERS[NAMES[name]] or len(raw) != HEAD.size + 4 * num_floats:
        raise BadRequest(f"{path.name} is damaged: {number} vectors of {dimension} numbers in {len(raw)} bytes")
    vectors = np.frombuffer(raw, "<f4", offset=HEAD.size).reshape(number, dimension)
    if not np.isfinite(vectors).all():
        raise BadRequest(f"{path.name} holds what is no number")
    return FlatIndex(NAMES[name], vectors)


def write_flat(path: Path, index: FlatIndex) -> None:
    """Write a flat index that faiss.read_index opens."""
    number, dimension = index.vectors.shape
    name = next(name for name, metric in NAMES.items() if metric == index.metric)
    head = HEAD.pack(name, dimension, number, UNUSED, UNUSED, 1, NUMBERS[index.metric], number * dimension)
    path.write_bytes(head + np.ascontiguousarray(index.vectors, "<f4").tobytes())
