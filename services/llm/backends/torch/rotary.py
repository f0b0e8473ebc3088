"""Which angles do a causal model's queries and keys turn by, at each position."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from clients.errors import BadRequest

KINDS = ("default", "linear", "llama3")


class Rotary:
    """Rotary position embedding (Su et al. 2021), halves of a head turned against each other.

    Args:
        config: of the model, in the words of transformers 5 (``rope_parameters``) or before.
        width: numbers in a head.
        place: where the table lies.
        max_tokens: positions of the table.

    Raises:
        BadRequest: the kind of scaling is unknown.
    """

    def __init__(self, config: Mapping[str, Any], width: int, device: Any, dtype: Any, max_tokens: int) -> None:
        angles = torch.outer(torch.arange(max_tokens, dtype=torch.float32), frequencies(config, width))
        both = torch.cat([angles, angles], dim=-1)
        self._cos, self._sin = (table.to(device, dtype)[:, None] for table in (both.cos(), both.sin()))

    def at(self, places: Any) -> tuple[Any, Any]:
        """Cosines and sines of positions int64 [tokens]; each [tokens, 1, width]."""
        return self._cos[places], self._sin[places]


def turned(x: Any, angles: tuple[Any, Any]) -> Any:
    """[tokens, heads, width] turned."""
    first, second = x.chunk(2, dim=-1)
    return x * angles[0] + torch.cat([-second, first], dim=-1) * angles[1]


def frequencies(config: Mapping[str, Any], width: int) -> Any:
    """Angle per position, float32 [width / 2]."""
    settings = config.get("rope_parameters") or config.get("rope_scaling") or {}
    base = float(settings.get("rope_theta") or config.get("rope_theta") or 10000.0)
    kind = settings.get("rope_type") or settings.get("type") or "default"
    plain = base ** -(torch.arange(0, width, 2, dtype=torch.float32) / width)
    if kind not in KINDS:
        raise BadRequest(f"the position scaling '{kind}' is not known", help=f"known: {', '.join(KINDS)}")
    if kind == "linear":
        return plain / float(settings["factor"])
    return _llama3(plain, settings) if kind == "llama3" else plain


def _llama3(plain: Any, settings: Mapping[str, Any]) -> Any:
    """Long waves slowed by the factor, short ones kept, between them a ramp (Llama 3.1, by its reference code)."""
    factor = float(settings["factor"])
    low, high = float(settings["low_freq_factor"]), float(settings["high_freq_factor"])
    turns = float(settings["original_max_position_embeddings"]) * plain / (2 * math.pi)
    ramp = ((turns - low) / (high - low)).clamp(0, 1)
    return plain * ramp + plain / factor * (1 - ramp)
