"""How does a GGUF file become one that OpenVINO GenAI reads, and reads rightly.

Its reader rounds zero points to whole numbers, so that Q4_1 and Q4_K, whose minimum is a fraction of
the step, become other weights: answers differ from the first token on. It does not read five bits at
all. Such tensors are written as Q8_0 (Q5_0 exactly, the others to 0.4 % of a block's largest value).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from .gguf import ALIGNMENT, MAGIC, Q8_0, Q8_0_TYPE, Header, Tensor, check_readable, read_header
from .gguf_blocks import Q5_0, VALUES, five_bits
from .gguf_writer import quantised

# Blocks that are turned into floats at a time.
STEP = 1 << 14


def repack(path: Path, target: Path) -> None:
    """Copy a file, its tensors that are misread as Q8_0.

    Raises:
        BadRequest: it has types that cannot be repacked; names them.
    """
    header = read_header(path)
    check_readable(path, header)
    data = np.memmap(path, dtype=np.uint8, mode="r", offset=header.data_start)
    with target.open("wb") as file:
        _write_head(file, header)
        for tensor in header.tensors:
            for part in _parts(tensor, data[tensor.start : tensor.end]):
                file.write(part)
            file.write(bytes(-file.tell() % ALIGNMENT))


def _write_head(file: IO[bytes], header: Header) -> None:
    file.write(MAGIC + struct.pack("<IQQ", header.version, len(header.tensors), header.num_settings))
    file.write(header.raw_settings)
    place = 0
    for tensor in header.tensors:
        name, kind = tensor.name.encode(), tensor.type if tensor.is_read else Q8_0_TYPE
        file.write(struct.pack("<Q", len(name)) + name + struct.pack("<I", len(tensor.shape)))
        file.write(struct.pack(f"<{len(tensor.shape)}QIQ", *tensor.shape, kind, place))
        place += tensor.read_bytes + -tensor.read_bytes % ALIGNMENT
    file.write(bytes(-file.tell() % ALIGNMENT))


def _parts(tensor: Tensor, raw: np.ndarray) -> Iterator[bytes]:
    """The bytes of a tensor in the new file."""
    if tensor.is_read:
        yield raw.tobytes()
    elif tensor.type_name == "Q5_0":
        yield _exact(raw[: tensor.num_blocks * Q5_0.itemsize].view(Q5_0))
    else:
        block, values = VALUES[tensor.type_name]
        blocks = raw[: len(raw) // block.itemsize * block.itemsize].view(block)
        for first in range(0, len(blocks), STEP):
            yield quantised(values(blocks[first : first + STEP]))


def _exact(blocks: np.ndarray) -> bytes:
    """Q5_0 as Q8_0: the scale stays, the five-bit integers become eight-bit ones."""
    packed = np.empty(len(blocks), Q8_0)
    packed["scale"] = blocks["scale"]
    packed["values"] = five_bits(blocks).astype(np.int8) - 16
    return packed.tobytes()
