"""What does an encoder of the BERT family make of packed texts.

Formulas: Devlin et al. 2018 (post-norm layers, gelu by the error function), Liu et al. 2019 (positions
behind the padding id), Sanh et al. 2019 (no token types), Clark et al. 2020 (narrow word vectors, projected),
Song et al. 2020 (a bias for each distance).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from services.llm.backends.distances import buckets
from services.llm.backends.layout import Layout

from .attention import Spans, attend
from .device import Place
from .weights import Linear, Weights

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "gelu": functional.gelu,
    "gelu_new": lambda x: functional.gelu(x, approximate="tanh"),
    "gelu_pytorch_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "relu": functional.relu,
    "tanh": torch.tanh,
}


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """Weights of one layer; ``parts`` are query, key and value side by side."""

    parts: Linear
    mixed: Linear
    mixed_norm: tuple[Any, Any]
    inner: Linear
    outer: Linear
    outer_norm: tuple[Any, Any]

    @classmethod
    def of(cls, weights: Weights, layout: Layout, number: int) -> Layer:
        """One layer of a checkpoint."""
        names = layout.names
        at = names.layer.format(number)
        return cls(
            weights.linear(at + names.query, at + names.key, at + names.value), weights.linear(at + names.mixed),
            weights.norm(at + names.mixed_norm), weights.linear(at + names.inner), weights.linear(at + names.outer),
            weights.norm(at + names.outer_norm),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """Texts one behind the other, on the device.

    Attributes:
        ids: int64 [tokens].
        places: int64 [tokens], the position of each in its text.
        types: int64 [tokens], 1 where it belongs to the second text of a pair.
        spans: where each text lies.
    """

    ids: Any
    places: Any
    types: Any
    spans: Spans

    @classmethod
    def of(cls, texts: Sequence[np.ndarray], place: Place, seconds: Sequence[int] = ()) -> Packed:
        """Pack texts of ids; ``seconds`` says where the second part of each begins, 0 where it has none."""
        lengths = [len(ids) for ids in texts]
        places = [np.arange(length, dtype=np.int64) for length in lengths]
        types = [(at >= second) & (second > 0) for at, second in zip(places, seconds or [0] * len(texts), strict=True)]
        parts = (texts, places, types)
        ids, at, kinds = (place.send(np.concatenate(part).astype(np.int64)) for part in parts)
        return cls(ids, at, kinds, Spans.of(lengths, place))


class Encoder:
    """An encoder on its device.

    Args:
        weights: of a checkpoint.
        layout: its sizes and names.

    Attributes:
        max_tokens: longest text that it has positions for.

    Raises:
        BadRequest: a tensor is missing.
    """

    def __init__(self, weights: Weights, layout: Layout) -> None:
        self._layout = layout
        self._activate = ACTIVATIONS[layout.activation]
        self._words = weights.tensor("embeddings.word_embeddings.weight")
        self._places = weights.tensor("embeddings.position_embeddings.weight")[layout.offset :]
        types = "embeddings.token_type_embeddings.weight"
        self._types = weights.tensor(types) if types in weights else None
        self._norm = weights.norm("embeddings.LayerNorm")
        widened = "embeddings_project"
        self._widen = weights.linear(widened) if f"{widened}.weight" in weights else None
        self._layers = [Layer.of(weights, layout, number) for number in range(layout.layers)]
        self._distances = _distances(weights, layout) if layout.buckets else None
        self.max_tokens = len(self._places)

    def forward(self, texts: Packed) -> Any:
        """Token vectors, [tokens, hidden]."""
        x = self._words[texts.ids] + self._places[texts.places]
        if self._types is not None:
            x = x + self._types[texts.types.clamp(max=len(self._types) - 1)]
        x = self._normed(x, self._norm)
        x = x if self._widen is None else self._widen(x)
        bias = self._bias(texts.spans.longest)
        for layer in self._layers:
            x = self._layer(layer, x, texts.spans, bias)
        return x

    def _layer(self, layer: Layer, x: Any, spans: Spans, bias: Any) -> Any:
        query, key, value = layer.parts(x).view(len(x), 3, self._layout.heads, -1).unbind(1)
        mixed = attend(query, key, value, spans, spans, is_causal=False, bias=bias).reshape(len(x), -1)
        x = self._normed(x + layer.mixed(mixed), layer.mixed_norm)
        return self._normed(x + layer.outer(self._activate(layer.inner(x))), layer.outer_norm)

    def _normed(self, x: Any, norm: tuple[Any, Any]) -> Any:
        return functional.layer_norm(x, x.shape[-1:], *norm, eps=self._layout.epsilon)

    def _bias(self, longest: int) -> Any:
        """[heads, from, to] for how far two tokens of a text are apart; None without such a bias."""
        if self._distances is None:
            return None
        middle = (len(self._distances) - 1) // 2
        places = torch.arange(longest, device=self._distances.device)
        return self._distances[places[None] - places[:, None] + middle].permute(2, 0, 1)


class Classifier:
    """What makes one number of an encoder's first token.

    Args:
        weights: of a checkpoint.
        layout: names its layers.
    """

    def __init__(self, weights: Weights, layout: Layout) -> None:
        self._dense, self._out = weights.linear(layout.head.dense), weights.linear(layout.head.out)
        self._activate = ACTIVATIONS[layout.head.activation]
        self.num_outputs = len(self._out.weight)

    def logits(self, first: Any) -> Any:
        """[n, hidden] to float32 [n]."""
        return self._out(self._activate(self._dense(first)))[:, 0].float()


def _distances(weights: Weights, layout: Layout) -> Any:
    """A bias per head for each distance, [2 * longest - 1, heads]."""
    longest = len(weights.tensor("embeddings.position_embeddings.weight"))
    found = weights.place.send(buckets(layout.buckets, longest))
    return weights.tensor("encoder.relative_attention_bias.weight")[found]
