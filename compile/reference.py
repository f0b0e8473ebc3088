"""What should a compiled model give: the checkpoint itself, in fp32 on the processor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from services.llm.backends.base import Prepared, PreparedPair
from services.llm.backends.openvino.causal_embedder import OpenVINOCausalEmbedder
from services.llm.backends.openvino.yes_no_scorer import OpenVINOYesNo
from services.models import Shelved

from .source import Source
from .weights import head_rows

Reference = Callable[[np.ndarray], np.ndarray]


def reference(source: Source, model: Shelved) -> Reference:
    """A function from int32 [tokens], two at the least, to what the task gives for them.

    That is a vector [hidden] of length 1; the logit of yes less that of no, [1]; or logits [vocabulary] of the next
    token up to a common factor.

    Args:
        source: tells the task.
        model: the checkpoint.
    """
    if source.task == "rerank":
        scorer = OpenVINOYesNo(model, dtype="fp32")
        return lambda ids: scorer.run([PreparedPair(ids[1:], (int(ids[0]),))])
    # Whatever the model is for, it is the last token's vector that counts here.
    embedder = OpenVINOCausalEmbedder(replace(model, card=replace(model.card, pooling="last")), dtype="fp32")

    def vector(ids: np.ndarray) -> np.ndarray:
        return embedder.run([Prepared(ids, 0, len(ids))])[0]

    if source.task == "embed":
        return vector
    head = head_rows(source.causal, source.checkpoint, source.answers)
    return lambda ids: np.asarray(head @ vector(ids))
