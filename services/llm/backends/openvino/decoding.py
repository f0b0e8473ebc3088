"""What does one pass through a decoder need, and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from services.llm.backends.causal import read_causal
from services.models import Shelved
from services.models.checkpoint import Checkpoint

from .compiled import Compiled, Dtype, resolve
from .decoder import decoder
from .weights import Weights

# The runtime keeps code for every shape that it meets.
WIDTH_STEP = 16
WORDS = "embed_tokens.weight"
HEAD = "lm_head.weight"
# What Qwen3-Reranker has instead, where its two rows were subtracted once and for all.
CLASSIFIER = "score.weight"


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """What several texts begin with, as a decoder remembers it.

    Attributes:
        num_tokens: how many of the remembered places count; the rest is padding.
        states: keys and values of every layer, each float32 [1, kv_heads, places, head_width].
    """

    num_tokens: int = 0
    states: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def num_bytes(self) -> int:
        """Memory of the states."""
        return sum(state.nbytes for state in self.states.values())


class Decoding:
    """A compiled decoder with its table of word vectors, which stays in the file.

    Args:
        model: from the shelf.
        dtype: ``auto`` is bf16 where the processor multiplies it, else fp32.
        threads: processor threads.
        ask: the two tokens whose logits are subtracted, the first minus the second; without them vectors come out.

    Attributes:
        dtype: what ``auto`` stands for here.
        causal: the model's shape.

    Raises:
        BadRequest: the files are no such model.
        BackendError: the runtime refuses it.
    """

    def __init__(self, model: Shelved, dtype: Dtype, threads: int, ask: tuple[int, int] | None = None) -> None:
        self.causal = read_causal(model.path)
        self.dtype = resolve(dtype, model.card.name)
        self._checkpoint = Checkpoint(model.path / model.card.weights)
        weights = Weights(self._checkpoint, "int8" if self.dtype == "int8" else "float")
        row = None if ask is None else self._row(*ask)
        graph = decoder(self.causal, self._checkpoint, weights, row)
        self._compiled = Compiled(graph, self.dtype, threads, model.card.name)
        self._has_past = row is not None

    @property
    def num_streams(self) -> int:
        """Passes that run at a time."""
        return self._compiled.num_streams

    def vectors(self, texts: Sequence[np.ndarray], at: np.ndarray, *, is_alone: bool = False) -> np.ndarray:
        """Vectors of the tokens at the places int [n, m]: float32 [n, m, hidden], L2-normalised."""
        with self._compiled.outputs(self._inputs(texts, at, Past()), is_alone=is_alone) as outputs:
            return np.array(outputs["vectors"])

    def logits(self, texts: Sequence[np.ndarray], past: Past, *, is_alone: bool = False) -> np.ndarray:
        """The logit float32 [n] behind the last token of each text, which all go on from ``past``."""
        with self._compiled.outputs(self._inputs(texts, _ends(texts), past), is_alone=is_alone) as outputs:
            return np.array(outputs["logit"])[:, 0]

    def remember(self, ids: np.ndarray, *, is_alone: bool = False) -> Past:
        """What a text leaves behind for those that go on from it."""
        with self._compiled.outputs(self._inputs([ids], _ends([ids]), Past()), is_alone=is_alone) as outputs:
            states = {f"past_{name}": np.array(outputs[name]) for name in self._state_names()}
        return Past(len(ids), states)

    def close(self) -> None:
        """Let go of the model; no pass is under way."""
        self._compiled.close()

    def _row(self, wanted: int, other: int) -> np.ndarray:
        """Their logits' difference is one product: the difference of the two rows of the head."""
        if CLASSIFIER in self._checkpoint:
            return np.asarray(self._checkpoint.rows(CLASSIFIER, [0])[0])
        name = HEAD if self.causal.has_own_head else WORDS
        rows = self._checkpoint.rows(name, [wanted, other])
        return np.asarray(rows[0] - rows[1])

    def _state_names(self) -> list[str]:
        return [f"{kind}{layer}" for layer in range(self.causal.layers) for kind in "kv"]

    def _inputs(self, texts: Sequence[np.ndarray], at: np.ndarray, past: Past) -> dict[str, np.ndarray]:
        """Texts are padded behind their end, where nothing of theirs looks."""
        width = -(-max(map(len, texts)) // WIDTH_STEP) * WIDTH_STEP
        x = np.zeros((len(texts), width, self.causal.hidden), np.float32)
        for row, ids in enumerate(texts):
            x[row, : len(ids)] = self._checkpoint.rows(WORDS, ids)
        cos, sin = self.causal.turns(past.num_tokens, past.num_tokens + width)
        states = past.states or (self._nothing() if self._has_past else {})
        places = next(iter(states.values())).shape[2] if states else 0
        seen = _seen(past.num_tokens, places, width)
        group = self.causal.heads // self.causal.kv_heads
        return {
            "x": x, "cos": cos, "sin": sin, "at": at.astype(np.int32),
            "mask": np.tile(seen, (group, 1))[None, None], "last_mask": np.tile(seen[at], (1, group, 1))[:, None],
        } | dict(states)  # fmt: skip

    def _nothing(self) -> dict[str, np.ndarray]:
        empty = np.zeros((1, self.causal.kv_heads, 0, self.causal.head_width), np.float32)
        return {f"past_{name}": empty for name in self._state_names()}


def _ends(texts: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([[len(ids) - 1] for ids in texts])


def _seen(num_past: int, places: int, width: int) -> np.ndarray:
    """What each new token sees: bool [width, places + width]."""
    past = np.broadcast_to(np.arange(places) < num_past, (width, places))
    return np.concatenate([past, np.tri(width, dtype=np.bool_)], axis=1)
