"""What does a causal model (Qwen2, Qwen3, Llama, Mistral) make of packed texts and of what it read before.

Formulas: Touvron et al. 2023 (pre-norm layers, RMS norm, rotary positions, gated SiLU); Qwen2 adds biases to
query, key and value, Qwen3 a norm of each head's query and key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch.nn import functional

from clients.errors import BadRequest

from .rotary import Rotary, turned
from .weights import Linear, Weights

DEFAULT_CONTEXT_TOKENS = 8192


class Past(Protocol):
    """What the tokens of a pass may look back at."""

    def attend(self, layer: int, query: Any, key: Any, value: Any) -> Any:
        """Attention of a layer's queries [tokens, heads, width] to these keys and to earlier ones."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """Weights of one layer; ``parts`` are query, key and value side by side, ``inner`` gate and value."""

    norm: Any
    parts: Linear
    query_norm: Any
    key_norm: Any
    mixed: Linear
    inner_norm: Any
    inner: Linear
    outer: Linear

    @classmethod
    def of(cls, weights: Weights, number: int) -> Layer:
        """One layer of a checkpoint."""
        at = f"layers.{number}."
        has_norms = f"{at}self_attn.q_norm.weight" in weights
        query_norm, key_norm = (
            weights.tensor(f"{at}self_attn.{part}_norm.weight") if has_norms else None for part in ("q", "k")
        )
        return cls(
            weights.tensor(at + "input_layernorm.weight"),
            weights.linear(*(f"{at}self_attn.{part}_proj" for part in ("q", "k", "v"))), query_norm, key_norm,
            weights.linear(at + "self_attn.o_proj"), weights.tensor(at + "post_attention_layernorm.weight"),
            weights.linear(at + "mlp.gate_proj", at + "mlp.up_proj"), weights.linear(at + "mlp.down_proj"),
        )  # fmt: skip


class Decoder:
    """A causal model on its device.

    Args:
        weights: of a checkpoint.
        config: its ``config.json``.

    Attributes:
        num_layers, key_heads, head_width: shape of its keys and values.
        max_tokens: longest sequence.

    Raises:
        BadRequest: a tensor is missing, or the configuration asks for what is not served.
    """

    def __init__(self, weights: Weights, config: Mapping[str, Any]) -> None:
        _check(config)
        self.place = weights.place
        self.num_layers = int(config["num_hidden_layers"])
        self._heads = int(config["num_attention_heads"])
        self.key_heads = int(config.get("num_key_value_heads") or self._heads)
        self.head_width = int(config.get("head_dim") or config["hidden_size"] // self._heads)
        self.max_tokens = int(config.get("max_position_embeddings") or DEFAULT_CONTEXT_TOKENS)
        self._epsilon = float(config.get("rms_norm_eps", 1e-6))
        self._words = weights.tensor("embed_tokens.weight")
        self._layers = [Layer.of(weights, number) for number in range(self.num_layers)]
        self._norm = weights.tensor("norm.weight")
        self._head = Linear(weights.tensor("lm_head.weight") if "lm_head.weight" in weights else self._words)
        place = weights.place
        self._rotary = Rotary(config, self.head_width, place.device, place.dtype, self.max_tokens)

    @property
    def hidden(self) -> int:
        """Numbers in a token's vector."""
        return int(self._words.shape[1])

    def forward(self, ids: Any, places: Any, past: Past) -> Any:
        """Token vectors behind the last norm.

        Args:
            ids: int64 [tokens].
            places: int64 [tokens], the position of each in its sequence.
            past: what the tokens may look back at.

        Returns:
            [tokens, hidden].
        """
        x = self._words[ids]
        angles = self._rotary.at(places)
        for number, layer in enumerate(self._layers):
            x = x + self._attention(number, layer, self._normed(x, layer.norm), angles, past)
            gate, value = layer.inner(self._normed(x, layer.inner_norm)).chunk(2, dim=-1)
            x = x + layer.outer(functional.silu(gate) * value)
        return self._normed(x, self._norm)

    def logits(self, vectors: Any) -> Any:
        """[n, hidden] to float32 [n, vocabulary]."""
        return self._head(vectors).float()

    def head_rows(self, ids: list[int]) -> Any:
        """What the head multiplies vectors with for the logits of some tokens, float32 [n, hidden]."""
        return self._head.weight[ids].float()

    def _attention(self, number: int, layer: Layer, x: Any, angles: tuple[Any, Any], past: Past) -> Any:
        sizes = [self._heads, self.key_heads, self.key_heads]
        query, key, value = layer.parts(x).view(len(x), -1, self.head_width).split(sizes, dim=1)
        if layer.query_norm is not None:
            query, key = self._normed(query, layer.query_norm), self._normed(key, layer.key_norm)
        mixed = past.attend(number, turned(query, angles), turned(key, angles), value)
        return layer.mixed(mixed.reshape(len(x), -1))

    def _normed(self, x: Any, weight: Any) -> Any:
        return functional.rms_norm(x, x.shape[-1:], weight, self._epsilon)


def _check(config: Mapping[str, Any]) -> None:
    if config.get("hidden_act", "silu") != "silu":
        raise BadRequest(f"the activation '{config['hidden_act']}' is not known", help="known: silu")
    is_sliding = config.get("use_sliding_window", config.get("model_type") == "mistral")
    if is_sliding and config.get("sliding_window"):
        raise BadRequest("the model attends through a sliding window, which is not served")
