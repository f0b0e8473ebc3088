"""How do weights that torch pickled become safetensors, once, without running what is in them."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clients.errors import BadRequest, MissingExtra

DTYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32",
    "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip


def convert(source: Path, target: Path) -> None:
    """Write the tensors of ``pytorch_model.bin``, or of the shards in its index, as one safetensors file.

    A tensor at a time goes through memory.

    Raises:
        MissingExtra: torch is not installed.
        BadRequest: the file is broken, or holds more than tensors.
    """
    tensors: dict[str, Any] = {}
    for file in _files(source):
        tensors |= _tensors(file)
    _write(tensors, target)


def _files(source: Path) -> list[Path]:
    if source.suffix != ".json":
        return [source]
    try:
        names = sorted({str(name) for name in json.loads(source.read_text(encoding="utf-8"))["weight_map"].values()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRequest(f"{source} is not an index of weights: {error!r}") from error
    if odd := [name for name in names if Path(name).name != name or not (source.parent / name).is_file()]:
        raise BadRequest(f"{source.parent} lacks {odd[0]}", help="copy or download the model again")
    return [source.parent / name for name in names]


def _tensors(file: Path) -> Mapping[str, Any]:
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("torch", "torch") from error
    try:
        state = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch has no class of its own for a broken file
        raise BadRequest(
            f"{file} is cut off, or holds more than tensors: {str(error).splitlines()[0]}",
            help="take the model's safetensors files, or download it again",
        ) from error
    if not isinstance(state, dict) or not all(_dtype(value) in DTYPES for value in state.values()):
        raise BadRequest(f"{file} does not hold the tensors of a model")
    return state


def _dtype(tensor: Any) -> str:
    return str(getattr(tensor, "dtype", "")).removeprefix("torch.")


def _write(tensors: Mapping[str, Any], target: Path) -> None:
    header: dict[str, object] = {}
    place = 0
    for name, tensor in tensors.items():
        end = place + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": DTYPES[_dtype(tensor)], "shape": list(tensor.shape), "data_offsets": [place, end]}
        place = end
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    with target.open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for tensor in tensors.values():
            file.write(_bytes(tensor))


def _bytes(tensor: Any) -> bytes:
    import torch

    return bytes(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)
