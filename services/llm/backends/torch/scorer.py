"""Scores of pairs by torch: a causal model that says yes or no, what a query's pairs share read once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch

from clients.llm import ScoreKind
from services.llm.backends.base import PreparedPair
from services.llm.backends.yes_no import YesNoPrompt
from services.models import Shelved

from .decoder import Decoder
from .device import Place
from .loading import load
from .passes import Passes
from .shared import Beginning, Shared

# Of the last queries: a beginning of 80 tokens has 9 MB in bf16 with Qwen3-Reranker-0.6B.
NUM_BEGINNINGS = 16


class Beginnings:
    """The last beginnings, by their ids; safe for any number of threads."""

    def __init__(self, most: int = NUM_BEGINNINGS) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[int, ...], Beginning] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, ids: tuple[int, ...]) -> Beginning:
        """The one that is kept, or an empty one."""
        with self._lock:
            if ids in self._kept:
                self._kept.move_to_end(ids)
            return self._kept.get(ids) or Beginning()

    def keep(self, ids: tuple[int, ...], beginning: Beginning) -> None:
        """Keep a filled one; the one that was not used for longest goes."""
        with self._lock:
            self._kept[ids] = beginning
            self._kept.move_to_end(ids)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)


class YesNoScorer:
    """A causal model such as Qwen3-Reranker.

    The score is the logit of yes less that of no as the next token, whose sigmoid is the probability of yes
    among the two. Only these two rows of the head are multiplied.

    Args:
        model: from the shelf.
        place: device and dtype.
        max_tokens: longest prompt; 0 is the model's own limit.
        instruction: for calls without one; empty is the card's.

    Raises:
        BadRequest: the files are no such model.
        TooLarge: it does not fit the device.
    """

    kind: ScoreKind = "logit"

    def __init__(self, model: Shelved, place: Place, *, max_tokens: int = 0, instruction: str = "") -> None:
        self.card = model.card
        self.num_streams = place.num_streams
        self.budget_tokens = place.budget_tokens
        self.max_waste_tokens = place.budget_tokens
        self._place = place
        self._passes = Passes(place, model.card.name)
        loaded = load(model, place)
        self._decoder: Decoder = loaded.decoder()
        limit = min(max_tokens or self._decoder.max_tokens, self._decoder.max_tokens)
        is_qwen3 = loaded.config["model_type"] == "qwen3"
        self._prompt = YesNoPrompt(model.path, model.card, is_qwen3=is_qwen3, max_tokens=limit, instruction=instruction)
        yes, no = self._decoder.head_rows([self._prompt.yes, self._prompt.no])
        self._direction = yes - no
        place.settle()
        self._beginnings = Beginnings()

    def prepare(self, pairs: Sequence[tuple[str, str]], *, instruction: str = "") -> list[PreparedPair]:
        """Tokenise (query, document) pairs; only the document is cut."""
        return self._prompt.prepare(pairs, instruction)

    def run(self, batch: Sequence[PreparedPair], *, is_alone: bool = False) -> np.ndarray:
        """One packed pass over pairs of one query."""
        return np.array(self._passes.run(self._forward, batch, is_alone=is_alone), np.float32)

    def close(self) -> None:
        """Let go of the model and of its memory."""
        del self._decoder
        self._beginnings = Beginnings()
        torch.cuda.empty_cache()

    def _forward(self, batch: Sequence[PreparedPair]) -> list[float]:
        shared = batch[0].shared
        beginning = self._beginnings.get(shared)
        own = [pair.ids for pair in batch]
        places = [np.arange(len(shared), len(shared) + len(ids)) for ids in own]
        past = Shared(len(shared), [len(ids) for ids in own], beginning, self._place)
        is_new = not beginning.layers
        if is_new:
            own, places = [np.array(shared), *own], [np.arange(len(shared)), *places]
        ids, at = (self._place.send(np.concatenate(parts).astype(np.int64)) for parts in (own, places))
        last = self._decoder.forward(ids, at, past)[past.spans.last[-len(batch) :]]
        logits: list[float] = (last.float() @ self._direction).tolist()
        if is_new:
            self._beginnings.keep(shared, beginning)
        return logits
