"""What does a net get beside the ids: the mask and the positions that never change."""

from __future__ import annotations

import numpy as np

# Far below any score, and still a number in 16 bits.
HIDDEN = -10000.0
# The same as the bits of the nearest bfloat16, as older bundles have it: -9984.
HIDDEN_BITS = 50716


def fixed(batch: int, tokens: int) -> dict[str, np.ndarray]:
    """Positions and the causal mask of a net, by the names of its inputs.

    The mask has a row for every text: with one row for all, the compiler computes the second text wrongly and says
    nothing.
    """
    return {
        "position_ids": np.arange(tokens, dtype=np.int32)[None],
        "attention_mask": np.broadcast_to(causal(tokens), (batch, 1, tokens, tokens)).copy(),
    }


def further(token: int, place: int, past: int) -> dict[str, np.ndarray]:
    """What a net reads beside the memory, by the names of its inputs: one token.

    Args:
        token: its id.
        place: tokens before it, all of which it sees.
        past: rows of the memory that the net takes.
    """
    mask = np.full((1, 1, 1, past + 1), HIDDEN, np.float32)
    mask[..., :place] = mask[..., past] = 0.0
    return {
        "input_ids": np.array([[token]], np.int32), "position_ids": np.array([[place]], np.int32),
        "attention_mask": mask,
    }  # fmt: skip


def causal(tokens: int) -> np.ndarray:
    """float32 [tokens, tokens]: 0 where a token sees another, ``HIDDEN`` where that one comes later."""
    return np.triu(np.full((tokens, tokens), HIDDEN, np.float32), 1)
