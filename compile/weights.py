"""What the compiler reads of a checkpoint: one .npz with every tensor that a net calls for.

Tensors are widened to float32 one after the other, so that a model of gigabytes needs the memory of its largest
tensor. The file is written uncompressed, as the compiler maps it.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clients.errors import BadRequest
from services.llm.backends.causal import Causal
from services.models.checkpoint import Checkpoint

from .decoder import COSINES, HEAD, SINES

TABLE = "embed_tokens.weight"
OWN_HEAD = "lm_head.weight"
PARTS = (
    *(f"self_attn.{part}_{kind}" for part in "qkv" for kind in ("proj", "norm")), "self_attn.o_proj",
    "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", "input_layernorm", "post_attention_layernorm",
)  # fmt: skip


Tensors = Iterator[tuple[str, np.ndarray]]


@dataclass(frozen=True, slots=True)
class Weights:
    """The tensors of a checkpoint as nets call for them.

    Attributes:
        positions: rows of the rotary tables.
        rows: of the head, in the order of the logits; empty: there is no head.
    """

    causal: Causal
    checkpoint: Checkpoint
    positions: int
    rows: Sequence[int] = ()

    def whole(self) -> Tensors:
        """Of the model in one net."""
        yield from self.words()
        for layer in range(self.causal.layers):
            yield from self._layer(layer)
        yield from self._turns()
        yield from self.tail()

    def words(self) -> Tensors:
        """Of ``Decoder.words``."""
        yield TABLE, self.checkpoint.float32(TABLE)

    def block(self, layer: int) -> Tensors:
        """Of ``Decoder.block``."""
        yield from self._layer(layer)
        yield from self._turns()

    def tail(self) -> Tensors:
        """Of ``Decoder.tail``; BadRequest where there is no such head."""
        yield "norm.weight", self.checkpoint.float32("norm.weight")
        if self.rows:
            yield HEAD, np.ascontiguousarray(head_rows(self.causal, self.checkpoint, self.rows).T)

    def _layer(self, layer: int) -> Tensors:
        for name in (f"layers.{layer}.{part}.{kind}" for part in PARTS for kind in ("weight", "bias")):
            if name in self.checkpoint or name.endswith(("proj.weight", "layernorm.weight")):
                values = self.checkpoint.float32(name)
                yield name, np.ascontiguousarray(values.T) if values.ndim > 1 else values

    def _turns(self) -> Tensors:
        cosines, sines = self.causal.turns(0, self.positions)
        yield COSINES, cosines[:, None, :]
        yield SINES, sines[:, None, :]


def write(path: Path, tensors: Tensors) -> Path:
    """Write an .npz, tensor after tensor."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        for name, values in tensors:
            with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, values, allow_pickle=False)
    return path


def head_rows(causal: Causal, checkpoint: Checkpoint, rows: Sequence[int]) -> np.ndarray:
    """Rows of the head, tied or its own, float32 [len(rows), hidden].

    Raises:
        BadRequest: the model says that it has a head of its own, and it has none, as a pure embedding model.
    """
    name = OWN_HEAD if OWN_HEAD in checkpoint and causal.has_own_head else TABLE
    if causal.has_own_head and name == TABLE:
        raise BadRequest(
            f"{checkpoint.path} has no {OWN_HEAD}, and its config.json does not tie the head to the words",
            help="take a checkpoint of a model that writes or reranks, or set tie_word_embeddings",
        )
    return checkpoint.rows(name, np.asarray(rows))
