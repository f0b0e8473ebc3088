"""How much memory does a model take, told from its files' headers before any weight is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .architectures import Architecture
from .checkpoint import Checkpoint
from .gguf import read_header
from .shelf import Shelved
from .tensor_file import Entry

BYTES = {"fp32": 4.0, "bf16": 2.0, "fp16": 2.0, "int8": 1.0}
# Measured with OpenVINO 2026.1: what the runtime itself takes beside any weights.
RUNTIME_BYTES = 100 << 20
# A tokenizer in memory is about so many times its file, by the library and by our own Unigram alike.
TOKENIZER_FACTOR = 10
# Room for the passes that run at a time, and for prompts with their answers.
PASS_TOKENS = 2048
CHAT_TOKENS = 16384
# Float32 vectors of the hidden and of the inner width that one token keeps alive in a layer.
HIDDEN_VECTORS, INNER_VECTORS = 12, 3
TABLES = ("word_embeddings.weight", "position_embeddings.weight", "token_type_embeddings.weight", "embed_tokens.weight")
HEAD = "lm_head.weight"


@dataclass(frozen=True, slots=True)
class Needs:
    """Memory of a model by estimate, in bytes.

    Attributes:
        weight_bytes: weights in the dtype that is computed in.
        load_bytes: on top of them while the runtime packs them.
        working_bytes: tokenizer, runtime, activations and remembered keys and values.
        mapped_bytes: tables that are read from the file as needed; the system may drop them again.
    """

    weight_bytes: int
    load_bytes: int
    working_bytes: int
    mapped_bytes: int = 0

    @property
    def resident_bytes(self) -> int:
        """What the loaded model keeps."""
        return self.weight_bytes + self.working_bytes

    @property
    def peak_bytes(self) -> int:
        """What must be free for loading it."""
        return self.resident_bytes + self.load_bytes


def needs(model: Shelved, role: str, dtype: str = "auto", *, tokens: int = 0) -> Needs:
    """The memory that a model takes in a role.

    Measured: the estimate of the peak is between 0.8 and 1.3 times what the three embedded models
    take in a process of their own.

    Args:
        model: from the shelf.
        role: embed, rerank or generate.
        dtype: what it computes in; ``auto`` counts as fp32, the most that it may be. A GGUF file
            keeps its own.
        tokens: that are in work or remembered at a time; 0 takes the usual number.

    Raises:
        BadRequest: its files are broken.
    """
    name = model.card.chat_weights if role == "generate" else model.card.weights
    if name.endswith(".bmodel"):  # its weights are on the device
        return Needs(0, 0, RUNTIME_BYTES + _tokenizer_bytes(model.path))
    if name.endswith(".gguf"):
        return _of_gguf(model.path / name, tokens or CHAT_TOKENS)
    return _of_checkpoint(model, role, dtype, tokens or (CHAT_TOKENS if role == "generate" else PASS_TOKENS))


def _of_gguf(path: Path, tokens: int) -> Needs:
    header = read_header(path)
    weights = sum(tensor.read_bytes for tensor in header.tensors)
    return Needs(weights, weights, RUNTIME_BYTES + tokens * header.cache_bytes)


def _of_checkpoint(model: Shelved, role: str, dtype: str, tokens: int) -> Needs:
    entries = Checkpoint(model.path / model.card.weights).entries
    tables = [entry for name, entry in entries.items() if name.endswith(TABLES)]
    rest = [entry for name, entry in entries.items() if not name.endswith((*TABLES, HEAD))]
    weights = _weight_bytes(rest, BYTES.get(dtype, 4.0))
    if role == "generate":  # every word is a possible next one
        weights += _weight_bytes([e for n, e in entries.items() if n.endswith(HEAD)] or tables, BYTES.get(dtype, 4.0))
    mapped = sum(entry.end - entry.start for entry in tables)
    working = RUNTIME_BYTES + _tokenizer_bytes(model.path) + tokens * _token_bytes(Architecture(model.path))
    return Needs(weights, weights, working, mapped)


def _weight_bytes(entries: Iterable[Entry], each: float) -> int:
    """Vectors stay float32; int8 matrices have a float32 scale per row."""
    total = 0.0
    for entry in entries:
        if len(entry.shape) < 2:
            total += 4 * entry.num_values
        else:
            total += each * entry.num_values + (4 * entry.shape[0] if each == 1 else 0)
    return int(total)


def _tokenizer_bytes(directory: Path) -> int:
    return TOKENIZER_FACTOR * (directory / "tokenizer.json").stat().st_size


def _token_bytes(architecture: Architecture) -> int:
    """Activations of a token in one layer, and of a decoder its keys and values in all of them."""
    hidden = architecture.number("hidden_size")
    inner = architecture.number("intermediate_size", 4 * hidden)
    activations = 4 * (HIDDEN_VECTORS * hidden + INNER_VECTORS * inner)
    return activations + (2 * 4 * architecture.cache_width if architecture.is_decoder else 0)
