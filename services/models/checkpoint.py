"""Which tensors does a model hold, in one safetensors file or in many, without reading more than is asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from clients.errors import BadRequest

from .tensor_file import AGAIN, Entry, TensorFile

# A model with a head on top keeps the tensors of its body below a word of its own.
PREFIXES = ("", "bert.", "roberta.", "distilbert.", "electra.", "mpnet.", "model.", "transformer.")
ANCHORS = ("embeddings.word_embeddings.weight", "embed_tokens.weight")


class Checkpoint:
    """The tensors of a model, mapped into memory.

    Names are those of the body: ``embeddings.word_embeddings.weight`` also finds
    ``bert.embeddings.word_embeddings.weight``. A head is called by its full name: ``classifier.weight``.

    Args:
        path: a safetensors file, or the ``model.safetensors.index.json`` beside several.

    Raises:
        BadRequest: a file is missing, is cut off, or is not in this format; names it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = _indexed(path) if path.suffix == ".json" else _whole(path)
        self._prefix = next((p for p in PREFIXES if any(p + anchor in self._files for anchor in ANCHORS)), "")

    def __contains__(self, name: str) -> bool:
        return self._prefix + name in self._files or name in self._files

    @property
    def entries(self) -> dict[str, Entry]:
        """Every tensor by its full name, without reading any."""
        return {name: file.entries[name] for name, file in self._files.items()}

    def entry(self, name: str) -> Entry:
        """Shape and dtype of a tensor; BadRequest if it is not there."""
        file, full = self._find(name)
        return file.entries[full]

    def bits(self, name: str) -> np.ndarray:
        """A view of a tensor as it lies in the file; BF16 as uint16.

        Raises:
            BadRequest: it is not there, or has an unknown dtype.
        """
        file, full = self._find(name)
        return file.view(full)

    def tensor(self, name: str) -> np.ndarray:
        """A view of a tensor in the file's own dtype; BF16 comes as a float32 copy.

        Raises:
            BadRequest: it is not there, or has an unknown dtype.
        """
        return _widened(self.bits(name), self.entry(name).dtype)

    def float32(self, name: str) -> np.ndarray:
        """A copy of a tensor as float32."""
        return np.array(self.tensor(name), dtype=np.float32)

    def rows(self, name: str, numbers: np.ndarray | Sequence[int]) -> np.ndarray:
        """Some rows of a table as float32 [len(numbers), ...]; only they are read."""
        return _widened(self.bits(name)[np.asarray(numbers)], self.entry(name).dtype).astype(np.float32)

    def _find(self, name: str) -> tuple[TensorFile, str]:
        for full in (self._prefix + name, name):
            if full in self._files:
                return self._files[full], full
        raise BadRequest(f"{self.path} lacks the tensor '{name}'", help="the weights belong to another kind of model")


def _whole(path: Path) -> dict[str, TensorFile]:
    file = TensorFile(path)
    return dict.fromkeys(file.entries, file)


def shards(index: Path) -> dict[str, str]:
    """Tensor to file name, as an index of shards says.

    Raises:
        BadRequest: it is no such index, or a file that it names is missing.
    """
    try:
        places = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        named = {str(tensor): str(file) for tensor, file in places.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRequest(f"{index} is not an index of safetensors files: {error!r}", help=AGAIN) from error
    if odd := [file for file in named.values() if Path(file).name != file]:
        raise BadRequest(f"{index} names files outside its directory: {odd[0]}")
    absent = sorted({file for file in named.values() if not (index.parent / file).is_file()})
    if absent:
        raise BadRequest(f"{index.parent} lacks {', '.join(absent)}", help=AGAIN)
    return named


def _indexed(index: Path) -> dict[str, TensorFile]:
    named = shards(index)
    files = {file: TensorFile(index.parent / file) for file in sorted(set(named.values()))}
    for tensor, file in named.items():
        if tensor not in files[file].entries:
            raise BadRequest(f"{index.parent / file} lacks the tensor '{tensor}' that the index promises", help=AGAIN)
    return {tensor: files[file] for tensor, file in named.items()}


def _widened(values: np.ndarray, dtype: str) -> np.ndarray:
    """BF16 bits as float32; other values as they are."""
    if dtype != "BF16":
        return values
    return (values.astype(np.uint32) << 16).view(np.float32)
