"""How do the tokens of several packed sequences attend, each to its own sequence only."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention

from .device import Place

HALF = (torch.bfloat16, torch.float16)
# What flash attention takes: Ampere or later, heads of up to 256 numbers in steps of 8.
LEAST_CAPABILITY = (8, 0)
WIDEST_HEAD, WIDTH_STEP = 256, 8


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """Where each sequence lies in a packed tensor.

    Attributes:
        bounds: n + 1 numbers; sequence i holds the rows ``bounds[i]`` to ``bounds[i + 1]``.
        offsets: the same on the device, int32 [n + 1].
        longest: rows of the longest sequence.
    """

    bounds: tuple[int, ...]
    offsets: Any
    longest: int

    @classmethod
    def of(cls, lengths: Sequence[int], place: Place) -> Spans:
        """Sequences of these lengths, one behind the other."""
        bounds = (0, *accumulate(lengths))
        return cls(bounds, place.send(np.array(bounds, np.int32)), max(lengths))

    @property
    def first(self) -> Any:
        """Row of each sequence's first token, int32 [n]."""
        return self.offsets[:-1]

    @property
    def last(self) -> Any:
        """Row of each sequence's last token, int32 [n]."""
        return self.offsets[1:] - 1


def attend(query: Any, key: Any, value: Any, queries: Spans, keys: Spans, *, is_causal: bool, bias: Any = None) -> Any:
    """Scaled dot-product attention of each sequence's queries to its own keys (Vaswani et al. 2017).

    Args:
        query: [tokens, heads, width].
        key: [key tokens, key heads, width]; a key head serves heads / key heads query heads.
        value: as ``key``.
        queries: the sequences in ``query``.
        keys: the same sequences in ``key``.
        is_causal: a query sees the keys up to its own, its sequence's last query and last key being one token.
        bias: added to the scores, [heads, from, to] for the longest sequence; the kernel of a GPU has none.

    Returns:
        [tokens, heads, width].
    """
    if bias is None and _has_kernel_for(query):
        return _by_kernel(query, key, value, queries, keys, is_causal=is_causal)
    out = torch.empty_like(query)
    for (first, last), (start, end) in zip(pairwise(queries.bounds), pairwise(keys.bounds), strict=True):
        own = bias if bias is None else bias[:, : last - first, : end - start]
        parts = query[first:last], key[start:end], value[start:end]
        out[first:last] = attend_one(*parts, is_causal=is_causal, bias=own)
    return out


def attend_one(query: Any, key: Any, value: Any, *, is_causal: bool, bias: Any = None) -> Any:
    """Attention within one sequence; shapes as of ``attend``."""
    heads = query.shape[1]
    num_queries, num_keys = query.shape[0], key.shape[0]
    is_square = num_queries == num_keys
    mask = bias
    if is_causal and not is_square and num_queries > 1:
        mask = torch.ones(num_queries, num_keys, dtype=torch.bool, device=query.device).tril(num_keys - num_queries)
    mixed = scaled_dot_product_attention(
        query.transpose(0, 1)[None], _spread(key, heads), _spread(value, heads),
        attn_mask=mask, is_causal=is_causal and is_square,
    )  # fmt: skip
    return mixed[0].transpose(0, 1)


def _spread(key: Any, heads: int) -> Any:
    """[1, heads, tokens, width]: a copy of its key head for every query head."""
    return key.transpose(0, 1).repeat_interleave(heads // key.shape[1], dim=0)[None]


def _has_kernel_for(query: Any) -> bool:
    width = query.shape[-1]
    is_fitting = query.is_cuda and query.dtype in HALF and width <= WIDEST_HEAD and width % WIDTH_STEP == 0
    return is_fitting and torch.cuda.get_device_capability(query.device) >= LEAST_CAPABILITY and _kernel() is not None


@cache
def _kernel() -> tuple[Callable[..., Any], frozenset[str]] | None:
    """Attention of torch over packed sequences and the names of its parameters; None before torch 2.10."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    return varlen_attn, frozenset(inspect.signature(varlen_attn).parameters)


def _by_kernel(query: Any, key: Any, value: Any, queries: Spans, keys: Spans, *, is_causal: bool) -> Any:
    found = _kernel()
    assert found is not None
    kernel, names = found
    options, is_grouped = _options(names, is_causal=is_causal, is_grouped=query.shape[1] != key.shape[1])
    if is_grouped:
        times = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(times, dim=1), value.repeat_interleave(times, dim=1)
    return kernel(query, key, value, queries.offsets, keys.offsets, queries.longest, keys.longest, **options)


def _options(names: frozenset[str], *, is_causal: bool, is_grouped: bool) -> tuple[dict[str, object], bool]:
    """What the kernel is told, and whether heads must be spread because it takes no groups.

    torch 2.10 says ``is_causal``, 2.11 a window instead, 2.12 learns of groups.
    """
    told: dict[str, object] = {"is_causal": is_causal}
    if "window_size" in names:
        told = {"window_size": (-1, 0) if is_causal else (-1, -1)}
    if is_grouped and "enable_gqa" in names:
        told["enable_gqa"] = True
    return told, is_grouped and "enable_gqa" not in names
