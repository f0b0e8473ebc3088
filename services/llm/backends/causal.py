"""Which shape has a causal model of the Llama family: what its ``config.json`` says of the arithmetic."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clients.errors import BadRequest

TYPES = ("llama", "mistral", "qwen2", "qwen3")


@dataclass(frozen=True, slots=True, eq=False)
class Causal:
    """A decoder of Qwen3, Qwen2, Llama or Mistral.

    Attributes:
        hidden, layers, heads, kv_heads, head_width: its sizes; ``heads`` is a multiple of ``kv_heads``.
        epsilon: added to the mean square before the root of a norm.
        window: tokens that a token looks back on; 0: all of them.
        has_own_head: ``lm_head.weight`` scores the next token, not the table of word vectors.
        rates: float64 [head_width / 2], radians that each pair of a head turns from one position to the next.
    """

    type: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    epsilon: float
    window: int
    has_own_head: bool
    rates: np.ndarray

    def limit(self, max_tokens: int) -> int:
        """The longest text that may be read: within the window, all of it is seen. 0: no limit."""
        return min(filter(None, (max_tokens, self.window)), default=0)

    def turns(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Cosines and sines of rotary positions, each float32 [last - first, head_width], the halves alike.

        Su et al. 2021, with the pairing of the Llama checkpoints: number i turns with number i + head_width / 2.
        """
        angles = np.outer(np.arange(first, last), self.rates)
        angles = np.concatenate([angles, angles], axis=1)
        return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def read_causal(directory: Path) -> Causal:
    """The shape of the model in a directory.

    Raises:
        BadRequest: it is of another kind, or has something that we do not compute; says what.
    """
    path = directory / "config.json"
    config: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    try:
        return _read(config)
    except BadRequest as error:
        raise BadRequest(f"{path}: {error.message}", help=error.help) from error
    except (KeyError, TypeError, ValueError) as error:
        raise BadRequest(f"{path} lacks, or misspells, {error}") from error


def _read(config: Mapping[str, Any]) -> Causal:
    if config["model_type"] not in TYPES:
        raise BadRequest(f"'{config['model_type']}' is no decoder that we compute", help=f"known: {', '.join(TYPES)}")
    if config.get("hidden_act", "silu") != "silu":
        raise BadRequest(f"the activation '{config['hidden_act']}' is not known", help="known: silu")
    heads = int(config["num_attention_heads"])
    hidden = int(config["hidden_size"])
    width = int(config.get("head_dim") or hidden // heads)
    return Causal(
        str(config["model_type"]), hidden, int(config["num_hidden_layers"]), heads,
        int(config.get("num_key_value_heads") or heads), width, float(config["rms_norm_eps"]), _window(config),
        not config.get("tie_word_embeddings", False), _rates(config, width),
    )  # fmt: skip


def _window(config: Mapping[str, Any]) -> int:
    """Qwen configurations name a window that they do not use."""
    is_used = config.get("use_sliding_window", config["model_type"] == "mistral")
    return int(config.get("sliding_window") or 0) if is_used else 0


def _rates(config: Mapping[str, Any], width: int) -> np.ndarray:
    """By the settings of transformers 5 (``rope_parameters``) or of older checkpoints (``rope_scaling``)."""
    rope: Mapping[str, Any] = config.get("rope_parameters") or config.get("rope_scaling") or {}
    theta = float(rope.get("rope_theta") or config.get("rope_theta") or 10000.0)
    rates = theta ** (-np.arange(0, width, 2) / width)
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind == "default":
        return rates
    if kind == "linear":
        return np.asarray(rates / float(rope["factor"]))
    if kind == "llama3":
        return _stretched(rates, rope)
    raise BadRequest(f"rotary positions of the kind '{kind}' are not known", help="known: default, linear, llama3")


def _stretched(rates: np.ndarray, rope: Mapping[str, Any]) -> np.ndarray:
    """Llama 3.1: slow pairs turn slower by the factor, fast ones as before, those between by a mixture."""
    low, high = float(rope["low_freq_factor"]), float(rope["high_freq_factor"])
    turns = float(rope["original_max_position_embeddings"]) * rates / (2 * math.pi)
    share = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return np.asarray(rates * (share + (1 - share) / float(rope["factor"])))
