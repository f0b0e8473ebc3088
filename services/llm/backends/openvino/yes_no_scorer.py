"""Reranking by the words yes and no of a causal model, by OpenVINO on the processor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clients.errors import BadRequest
from clients.llm import ScoreKind
from services.llm.backends.base import PreparedPair
from services.llm.backends.causal import read_causal
from services.llm.backends.yes_no import YesNoPrompt
from services.models import Shelved

from .compiled import Dtype
from .decoding import Decoding, Past
from .embedder import BUDGET_TOKENS, MAX_WASTE_TOKENS
from .prefixes import Ids, Prefixes

# About fourteen queries of Qwen3-Reranker-0.6B, whose beginnings take 224 KiB a token.
PREFIX_BYTES = 256 << 20


class OpenVINOYesNo:
    """Qwen3-Reranker, or another causal model that is asked whether a document fits.

    The score is logit(yes) - logit(no) behind the prompt, so its expit is the share of yes among the two. What all
    documents of a query share is computed once.

    Args:
        model: from the shelf.
        dtype: ``auto`` is bf16 where the processor multiplies it, else fp32.
        threads: processor threads.
        max_tokens: longest prompt; 0 is the model's own limit, and at most 8192.

    Raises:
        BadRequest: the files are no such model, or yes and no are not single tokens.
        BackendError: the runtime refuses it.
    """

    kind: ScoreKind = "logit"
    budget_tokens = BUDGET_TOKENS

    def __init__(self, model: Shelved, *, dtype: Dtype = "auto", threads: int = 1, max_tokens: int = 0) -> None:
        self.card = model.card
        causal = read_causal(model.path)
        if model.card.head == "logit" and causal.type != "qwen3":
            raise BadRequest(
                f"'{model.card.name}' is a classifier over a '{causal.type}' model, and its files do not say "
                "which prompt it was trained on",
                help="take Qwen3-Reranker, a cross-encoder, or a chat model",
            )
        limit = causal.limit(max_tokens or model.card.max_tokens)
        self._prompt = YesNoPrompt(model.path, model.card, is_qwen3=causal.type == "qwen3", max_tokens=limit)
        self._decoding = Decoding(model, dtype, threads, (self._prompt.yes, self._prompt.no))
        self._prefixes = Prefixes(self._remember, PREFIX_BYTES)
        self.num_streams = self._decoding.num_streams
        self.max_waste_tokens = MAX_WASTE_TOKENS[self._decoding.dtype]

    def prepare(self, pairs: Sequence[tuple[str, str]], *, instruction: str = "") -> list[PreparedPair]:
        """Tokenise; only a document is cut."""
        return self._prompt.prepare(pairs, instruction)

    def run(self, batch: Sequence[PreparedPair], *, is_alone: bool = False) -> np.ndarray:
        """Logits of pairs that share their beginning; waits while all streams are in use."""
        past = self._prefixes.get(batch[0].shared)
        return self._decoding.logits([pair.ids for pair in batch], past, is_alone=is_alone)

    def close(self) -> None:
        """Let go of the model."""
        self._prefixes.clear()
        self._decoding.close()

    def _remember(self, ids: Ids) -> Past:
        return self._decoding.remember(np.array(ids, np.int32))
