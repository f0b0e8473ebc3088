"""What does a BERT, RoBERTa, XLM-R or DistilBERT encoder make of packed texts.

Formulas: Devlin et al. 2018 (post-norm layers, gelu by the error function), Liu et al. 2019 (positions
behind the padding id), Sanh et al. 2019 (no token types).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch.nn import functional

from clients.errors import BadRequest

from .attention import Spans, attend
from .weights import Linear, Weights

# The first positions belong to padding.
OFFSET_TYPES = ("camembert", "roberta", "xlm-roberta")
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "gelu": functional.gelu,
    "gelu_new": lambda x: functional.gelu(x, approximate="tanh"),
    "gelu_pytorch_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "relu": functional.relu,
}


@dataclass(frozen=True, slots=True)
class Names:
    """What a family calls its settings and tensors."""

    layers: str
    heads: str
    activation: str
    layer: str
    parts: tuple[str, str, str]
    mixed: str
    mixed_norm: str
    inner: str
    outer: str
    outer_norm: str


BERT = Names(
    "num_hidden_layers", "num_attention_heads", "hidden_act", "encoder.layer.{}.",
    ("attention.self.query", "attention.self.key", "attention.self.value"), "attention.output.dense",
    "attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm",
)  # fmt: skip
DISTILBERT = Names(
    "n_layers", "n_heads", "activation", "transformer.layer.{}.",
    ("attention.q_lin", "attention.k_lin", "attention.v_lin"), "attention.out_lin",
    "sa_layer_norm", "ffn.lin1", "ffn.lin2", "output_layer_norm",
)  # fmt: skip


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
    def of(cls, weights: Weights, names: Names, number: int) -> Layer:
        """One layer of a checkpoint."""
        at = names.layer.format(number)
        return cls(
            weights.linear(*(at + part for part in names.parts)), weights.linear(at + names.mixed),
            weights.norm(at + names.mixed_norm), weights.linear(at + names.inner), weights.linear(at + names.outer),
            weights.norm(at + names.outer_norm),
        )  # fmt: skip


class Encoder:
    """An encoder on its device.

    Args:
        weights: of a checkpoint.
        config: its ``config.json``.

    Attributes:
        max_tokens: longest text that it has positions for.

    Raises:
        BadRequest: a tensor is missing, or the activation is unknown.
    """

    def __init__(self, weights: Weights, config: Mapping[str, Any]) -> None:
        kind = str(config["model_type"])
        names = DISTILBERT if kind == "distilbert" else BERT
        self._heads = int(config[names.heads])
        self._epsilon = float(config.get("layer_norm_eps", 1e-12))
        self._activate = _activation(str(config.get(names.activation, "gelu")))
        self._words = weights.tensor("embeddings.word_embeddings.weight")
        offset = int(config["pad_token_id"]) + 1 if kind in OFFSET_TYPES else 0
        self._places = weights.tensor("embeddings.position_embeddings.weight")[offset:]
        types = "embeddings.token_type_embeddings.weight"
        self._types = weights.tensor(types) if types in weights else None
        self._norm = weights.norm("embeddings.LayerNorm")
        self._layers = [Layer.of(weights, names, number) for number in range(int(config[names.layers]))]
        self.max_tokens = len(self._places)

    def forward(self, ids: Any, places: Any, types: Any, spans: Spans) -> Any:
        """Token vectors.

        Args:
            ids: int64 [tokens].
            places: int64 [tokens], the position of each in its text.
            types: int64 [tokens], 1 where it belongs to the second text of a pair.
            spans: the texts.

        Returns:
            [tokens, hidden].
        """
        x = self._words[ids] + self._places[places]
        if self._types is not None:
            x = x + self._types[types.clamp(max=len(self._types) - 1)]
        x = self._normed(x, self._norm)
        for layer in self._layers:
            x = self._layer(layer, x, spans)
        return x

    def _layer(self, layer: Layer, x: Any, spans: Spans) -> Any:
        query, key, value = layer.parts(x).view(len(x), 3, self._heads, -1).unbind(1)
        mixed = attend(query, key, value, spans, spans, is_causal=False).reshape(len(x), -1)
        x = self._normed(x + layer.mixed(mixed), layer.mixed_norm)
        return self._normed(x + layer.outer(self._activate(layer.inner(x))), layer.outer_norm)

    def _normed(self, x: Any, norm: tuple[Any, Any]) -> Any:
        return functional.layer_norm(x, x.shape[-1:], *norm, eps=self._epsilon)


def _activation(name: str) -> Callable[[Any], Any]:
    if name not in ACTIVATIONS:
        raise BadRequest(f"the activation '{name}' is not known", help=f"known: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]
