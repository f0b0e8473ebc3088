"""Packed attention sees each sequence alone, with grouped heads, a causal end and a kernel of any torch."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="pip install 'ragq[torch]'")

from services.llm.backends.torch import attention  # noqa: E402 - needs torch
from services.llm.backends.torch.attention import Spans, attend  # noqa: E402 - needs torch
from services.llm.backends.torch.device import Place  # noqa: E402 - needs torch

pytestmark = pytest.mark.torch
CPU = Place(torch.device("cpu"), torch.float32)
HEADS, KEY_HEADS, WIDTH = 4, 2, 8


def by_formula(query, key, value, *, is_causal: bool):
    """softmax(q k / sqrt(width)) v, head by head."""
    out = torch.empty_like(query)
    for head in range(HEADS):
        own = head // (HEADS // KEY_HEADS)
        scores = query[:, head] @ key[:, own].T / math.sqrt(WIDTH)
        if is_causal:
            behind = len(key) - len(query)
            seen = torch.arange(len(key))[None] <= torch.arange(len(query))[:, None] + behind
            scores = scores.masked_fill(~seen, -math.inf)
        out[:, head] = scores.softmax(-1) @ value[:, own]
    return out


def parts(place: Place, queries: list[int], keys: list[int]):
    torch.manual_seed(0)
    shapes = [(sum(queries), HEADS), (sum(keys), KEY_HEADS), (sum(keys), KEY_HEADS)]
    tensors = [torch.randn(*shape, WIDTH).to(place.device, place.dtype) for shape in shapes]
    return tensors, Spans.of(queries, place), Spans.of(keys, place)


def expected(tensors, queries: list[int], keys: list[int], *, is_causal: bool):
    query, key, value = (tensor.float().cpu() for tensor in tensors)
    each = zip(query.split(queries), key.split(keys), value.split(keys), strict=True)
    return torch.cat([by_formula(*one, is_causal=is_causal) for one in each])


CASES = [([3, 1, 5], [3, 1, 5], True), ([3, 1, 5], [3, 1, 5], False), ([3, 1, 2], [7, 6, 2], True)]


@pytest.mark.parametrize(("queries", "keys", "is_causal"), CASES)
def test_each_sequence_attends_to_itself_by_the_formula(queries, keys, is_causal):
    tensors, asking, asked = parts(CPU, queries, keys)
    found = attend(*tensors, asking, asked, is_causal=is_causal)
    torch.testing.assert_close(found, expected(tensors, queries, keys, is_causal=is_causal))


@pytest.mark.parametrize(
    ("names", "told", "is_spread"),
    [
        ({"is_causal"}, {"is_causal": True}, True),
        ({"window_size"}, {"window_size": (-1, 0)}, True),
        ({"window_size", "enable_gqa"}, {"window_size": (-1, 0), "enable_gqa": True}, False),
    ],
)
def test_the_kernel_is_told_in_the_words_of_its_torch(names, told, is_spread):
    assert attention._options(frozenset(names), is_causal=True, is_grouped=True) == (told, is_spread)


def test_the_kernel_of_this_torch_is_known():
    found = attention._kernel()
    assert found is None or {"is_causal", "window_size"} & found[1]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(("queries", "keys", "is_causal"), CASES)
def test_the_kernel_gives_what_the_formula_gives(queries, keys, is_causal):
    tensors, asking, asked = parts(Place(torch.device("cuda"), torch.bfloat16), queries, keys)
    found = attend(*tensors, asking, asked, is_causal=is_causal).float().cpu()
    torch.testing.assert_close(found, expected(tensors, queries, keys, is_causal=is_causal), atol=2e-2, rtol=2e-2)
