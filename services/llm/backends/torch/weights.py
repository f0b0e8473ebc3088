"""How do tensors of a checkpoint get to their device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from services.models.checkpoint import Checkpoint

from .device import Place


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """A matrix [out, in] and its bias [out], or None."""

    weight: Any
    bias: Any = None

    def __call__(self, x: Any) -> Any:
        """[..., in] to [..., out]."""
        return functional.linear(x, self.weight, self.bias)


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """A checkpoint's tensors in the dtype and on the device of a place."""

    checkpoint: Checkpoint
    place: Place

    def __contains__(self, name: str) -> bool:
        return name in self.checkpoint

    def tensor(self, name: str) -> Any:
        """A copy of a tensor; BadRequest if it is not there."""
        return self._loaded(name).to(self.place.device, self.place.dtype)

    def linear(self, *names: str) -> Linear:
        """Linear layers of the same input as one, their outputs side by side."""
        weight = torch.cat([self.tensor(f"{name}.weight") for name in names])
        if f"{names[0]}.bias" not in self:
            return Linear(weight)
        return Linear(weight, torch.cat([self.tensor(f"{name}.bias") for name in names]))

    def norm(self, name: str) -> tuple[Any, Any]:
        """Weight and bias of a layer norm."""
        return self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias")

    def _loaded(self, name: str) -> Any:
        # Copied: torch takes no view of a file that must not be written.
        bits = np.array(self.checkpoint.bits(name))
        if self.checkpoint.entry(name).dtype == "BF16":
            return torch.from_numpy(bits.view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(bits)


def num_bytes(checkpoint: Checkpoint, place: Place) -> int:
    """Memory that all tensors take at a place."""
    return sum(entry.num_values for entry in checkpoint.entries.values()) * int(place.dtype.itemsize)
