"""Reranking by a compiled model that says yes or no, on SOPHON devices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clients.errors import BadRequest
from clients.llm import ScoreKind
from services.llm.backends.base import PreparedPair
from services.llm.backends.causal import read_causal
from services.llm.backends.yes_no import YesNoPrompt
from services.models import Shelved
from services.models.bundle import Bundle

from .passes import Outputs


class SophonYesNo:
    """A Qwen3-Reranker, or its like.

    The score is logit(yes) - logit(no) behind the prompt, so its expit is the share of yes among the two.

    Args:
        model: from the shelf.
        bundle: what was compiled.
        passes: of the bundle.
        max_tokens: longest prompt; 0 is the longest net.

    Raises:
        BadRequest: the tokenizer is not the one that the model was compiled with.
        TooLarge: the frame alone fills the longest net.
    """

    kind: ScoreKind = "logit"

    def __init__(self, model: Shelved, bundle: Bundle, passes: Outputs, *, max_tokens: int = 0) -> None:
        self.card = model.card
        limit = min(max_tokens or bundle.max_tokens, bundle.max_tokens)
        is_qwen3 = read_causal(model.path).type == "qwen3"
        self._prompt = YesNoPrompt(model.path, model.card, is_qwen3=is_qwen3, max_tokens=limit)
        if (self._prompt.no, self._prompt.yes) != bundle.answers:
            raise BadRequest(
                f"{model.path}: no and yes are the tokens {self._prompt.no} and {self._prompt.yes} here, and the model "
                f"was compiled for {bundle.answers}",
                help="its tokenizer.json belongs to another model; copy the bundle again",
            )
        self._passes = passes
        self.num_streams = passes.num_devices
        self.budget_tokens = passes.budget_tokens
        self.max_waste_tokens = bundle.max_tokens

    def prepare(self, pairs: Sequence[tuple[str, str]], *, instruction: str = "") -> list[PreparedPair]:
        """Tokenise; only a document is cut."""
        return self._prompt.prepare(pairs, instruction)

    def run(self, batch: Sequence[PreparedPair], *, is_alone: bool = False) -> np.ndarray:
        """Logits of pairs that share their beginning, on one device; waits while all are in use."""
        logits = self._passes.outputs([np.array([*pair.shared, *pair.ids], np.int32) for pair in batch])
        differences: np.ndarray = logits[:, 1] - logits[:, 0]
        return differences

    def close(self) -> None:
        """Let go of the devices."""
        self._passes.close()
