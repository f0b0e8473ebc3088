"""Embeddings by OpenVINO on the processor, straight from safetensors.

No framework, no export step: the graph of ``encoder`` compiles in a third of a second, so
nothing compiled is kept on disk.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clients.errors import BadRequest
from clients.llm import Role
from services.llm.backends.base import Prepared
from services.llm.backends.layout import layout_of
from services.llm.backends.texts import Texts, limit_of
from services.models import Card, Shelved
from services.models.checkpoint import Checkpoint
from services.models.json_file import read_map

from .compiled import Compiled, Dtype, resolve
from .encoder import encoder
from .inputs import Inputs

# Padded tokens of a pass: larger ones multiply no faster.
BUDGET_TOKENS = 512
# Padding that costs as much as one more forward: measured on a processor with AVX512-BF16.
MAX_WASTE_TOKENS = {"fp32": 24, "bf16": 48, "int8": 48}


class OpenVINOEmbedder:
    """An encoder such as BERT, XLM-R, DistilBERT or MPNet.

    Args:
        model: from the shelf, or a directory in the layout of sentence-transformers.
        dtype: ``auto`` is bf16 where the processor multiplies it, else fp32; ``int8`` has int8
            weights and activations, 1.3 times bf16 at a mean cosine of 0.999 to fp32.
        threads: processor threads.
        max_tokens: cut texts here; 0 is the model's own limit.

    Raises:
        BadRequest: the files are no such model.
    """

    def __init__(self, model: Shelved, *, dtype: Dtype = "auto", threads: int = 1, max_tokens: int = 0) -> None:
        self._card = card = model.card
        if card.pooling == "last":
            raise BadRequest(f"'{card.name}': an encoder has no last-token pooling")
        layout = layout_of(read_map(model.path / "config.json"))
        checkpoint = Checkpoint(model.path / card.weights)
        self._inputs = Inputs(checkpoint, layout)
        limit = limit_of(card, max_tokens, self._inputs.max_tokens)
        self._texts = Texts(model.path / "tokenizer.json", card, limit)
        self.dtype = resolve(dtype, card.name)
        graph = encoder(checkpoint, layout, card.pooling, "int8" if self.dtype == "int8" else "float")
        self._compiled = Compiled(graph, self.dtype, threads, card.name)
        self.num_streams = self._compiled.num_streams
        self.budget_tokens = BUDGET_TOKENS
        self.max_waste_tokens = MAX_WASTE_TOKENS[self.dtype]

    @property
    def card(self) -> Card:
        """The model's description."""
        return self._card

    def prepare(
        self, texts: Sequence[str], role: Role, *, instruction: str = "", wants_tokens: bool = False
    ) -> list[Prepared]:
        """Tokenise with the model's prefix for the role."""
        return self._texts.prepare(texts, role, instruction=instruction, wants_tokens=wants_tokens)

    def run(self, batch: Sequence[Prepared], *, is_alone: bool = False) -> list[np.ndarray]:
        """One padded forward pass; waits while all streams are in use."""
        inputs = self._inputs.of([text.ids for text in batch])
        with self._compiled.outputs(inputs, is_alone=is_alone) as outputs:
            tokens, pooled = outputs["tokens"], outputs["pooled"]
            return [(tokens[i, : t.num_tokens] if t.wants_tokens else pooled[i]).copy() for i, t in enumerate(batch)]

    def close(self) -> None:
        """Let go of the model."""
        self._compiled.close()
