"""Which tensors does a safetensors file hold, without reading more of it than is asked for."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

from clients.errors import BadRequest

MAX_HEADER_BYTES = 64 << 20
DTYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "F64": "<f8", "I64": "<i8", "I32": "<i4", "I8": "|i1", "U8": "|u1"}


class Checkpoint:
    """The tensors of one safetensors file, mapped into memory.

    Raises:
        BadRequest: the file is cut off, or is not in this format.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._raw = np.memmap(path, dtype=np.uint8, mode="r")
            (length,) = struct.unpack("<Q", self._raw[:8].tobytes())
            if length > min(MAX_HEADER_BYTES, len(self._raw) - 8):
                raise ValueError("its header is longer than the file")
            header = json.loads(self._raw[8 : 8 + length].tobytes())
            self._entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        except (struct.error, ValueError, AttributeError) as error:
            raise BadRequest(f"{path} is not a whole safetensors file: {error}") from error
        self._start = 8 + length
        self._prefix = next(
            (
                p
                for p in ("", "bert.", "roberta.", "model.")
                if f"{p}embeddings.word_embeddings.weight" in self._entries
            ),
            "",
        )

    def __contains__(self, name: str) -> bool:
        return self._prefix + name in self._entries

    def tensor(self, name: str) -> np.ndarray:
        """A view of a tensor in the file's own dtype; bf16 comes as float32.

        Raises:
            BadRequest: it is not there, or its bytes are not.
        """
        entry = self._entries.get(self._prefix + name)
        if entry is None:
            raise BadRequest(f"{self.path} lacks the tensor '{name}'")
        first, last = entry["data_offsets"]
        if entry["dtype"] not in DTYPES or not 0 <= first <= last <= len(self._raw) - self._start:
            raise BadRequest(f"{self.path}: the tensor '{name}' is cut off, or of the unknown dtype {entry['dtype']}")
        values = (
            self._raw[self._start + first : self._start + last].view(DTYPES[entry["dtype"]]).reshape(entry["shape"])
        )
        if entry["dtype"] == "BF16":
            return (values.astype(np.uint32) << 16).view(np.float32)
        return values

    def float32(self, name: str) -> np.ndarray:
        """A copy of a tensor as float32."""
        return np.array(self.tensor(name), dtype=np.float32)
