"""Scores of pairs by OpenVINO: an encoder with a classifier reads query and document together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clients.llm import ScoreKind
from services.llm.backends.base import PreparedPair
from services.llm.backends.layout import layout_of
from services.llm.backends.texts import Pairs, limit_of
from services.models import Card, Shelved
from services.models.checkpoint import Checkpoint
from services.models.json_file import read_map

from .compiled import Compiled, Dtype, resolve
from .embedder import BUDGET_TOKENS, MAX_WASTE_TOKENS
from .encoder import cross_encoder
from .inputs import Inputs


class OpenVINOCrossEncoder:
    """A cross-encoder such as bge-reranker-v2-m3 or ms-marco-MiniLM.

    Args:
        model: from the shelf, or a directory in the layout of sentence-transformers.
        dtype, threads: as of OpenVINOEmbedder.
        max_tokens: cut pairs here; 0 is the model's own limit.

    Raises:
        BadRequest: the files are no such model.
    """

    kind: ScoreKind = "logit"

    def __init__(self, model: Shelved, *, dtype: Dtype = "auto", threads: int = 1, max_tokens: int = 0) -> None:
        self._card = card = model.card
        layout = layout_of(read_map(model.path / "config.json"))
        checkpoint = Checkpoint(model.path / card.weights)
        self._inputs = Inputs(checkpoint, layout)
        self._pairs = Pairs(model.path / "tokenizer.json", limit_of(card, max_tokens, self._inputs.max_tokens))
        self.dtype = resolve(dtype, card.name)
        graph = cross_encoder(checkpoint, layout, "int8" if self.dtype == "int8" else "float")
        self._compiled = Compiled(graph, self.dtype, threads, card.name)
        self.num_streams = self._compiled.num_streams
        self.budget_tokens = BUDGET_TOKENS
        self.max_waste_tokens = MAX_WASTE_TOKENS[self.dtype]

    @property
    def card(self) -> Card:
        """The model's description."""
        return self._card

    def prepare(self, pairs: Sequence[tuple[str, str]], *, instruction: str = "") -> list[PreparedPair]:
        """Tokenise; these models are trained without instructions and read none."""
        return self._pairs.prepare(pairs)

    def run(self, batch: Sequence[PreparedPair], *, is_alone: bool = False) -> np.ndarray:
        """One padded forward pass; waits while all streams are in use."""
        inputs = self._inputs.of([pair.ids for pair in batch], [pair.second for pair in batch])
        with self._compiled.outputs(inputs, is_alone=is_alone) as outputs:
            return outputs["logit"][:, 0].copy()

    def close(self) -> None:
        """Let go of the model."""
        self._compiled.close()
