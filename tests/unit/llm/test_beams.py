"""A beam search that is wide enough finds the best of all continuations, with their true probabilities."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from clients.llm import Generate
from services.llm.beams import Path, search
from services.llm.sampling import log_softmax

END = 0
NUM_TOKENS = 4


class Chain:
    """A model whose next token depends on the newest two; it keeps what each live beam has read."""

    def __init__(self, seed: int) -> None:
        self._table = np.random.default_rng(seed).normal(0, 2, (NUM_TOKENS, NUM_TOKENS, NUM_TOKENS))
        self._read: list[tuple[int, ...]] = [(1, 1)]

    def logits(self, read: Sequence[int]) -> np.ndarray:
        row: np.ndarray = self._table[read[-2], read[-1]]
        return row

    def expand(self, parents: Sequence[int], tokens: Sequence[int]) -> np.ndarray:
        self._read = [(*self._read[parent], token) for parent, token in zip(parents, tokens, strict=True)]
        return np.stack([self.logits(read) for read in self._read])


def found(seed: int, **controls: object) -> list[Path]:
    model = Chain(seed)
    request = Generate(prompt="x", **controls)  # type: ignore[arg-type]
    return search(model.logits((1, 1)), model.expand, request, {END}, [1, 1])


def every(seed: int, length: int, penalty: float) -> list[tuple[tuple[int, ...], float, float]]:
    """All continuations up to a length, with log probability and score, best first."""
    model, paths = Chain(seed), []
    for count in range(1, length + 1):
        for tokens in itertools.product(range(NUM_TOKENS), repeat=count):
            ends = tokens[-1] == END
            if END in tokens[:-1] or (not ends and count < length):
                continue
            read, total = (1, 1), 0.0
            for token in tokens:
                total += float(log_softmax(model.logits(read))[token])
                read = (*read, token)
            paths.append((tokens[:-1] if ends else tokens, total, total / count**penalty))
    return sorted(paths, key=lambda path: -path[2])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0])
def test_a_wide_beam_finds_the_best_answers_of_a_search_through_all(seed: int, penalty: float) -> None:
    paths = found(seed, beams=64, num_answers=5, max_tokens=3, length_penalty=penalty)
    best = every(seed, 3, penalty)[:5]
    assert [path.tokens for path in paths] == [tokens for tokens, _, _ in best]
    assert [path.log_probability for path in paths] == pytest.approx([total for _, total, _ in best])
    assert [path.score for path in paths] == pytest.approx([score for _, _, score in best])


def test_one_beam_is_the_greedy_answer() -> None:
    (path,) = found(3, beams=1, max_tokens=6)
    model, read = Chain(3), [1, 1]
    while len(read) < 8 and read[-1] != END:
        read.append(int(model.logits(read).argmax()))
    assert path.tokens == tuple(token for token in read[2:] if token != END)


def test_the_length_limit_holds_and_is_told() -> None:
    paths = found(1, beams=4, num_answers=4, max_tokens=2)
    assert {len(path.tokens) for path in paths} <= {0, 1, 2}
    assert all((path.finish_reason == "length") == (len(path.tokens) == 2) for path in paths)


def test_a_banned_token_is_in_no_beam() -> None:
    paths = found(2, beams=8, num_answers=8, max_tokens=4, ban_tokens=[2])
    assert paths
    assert all(2 not in path.tokens for path in paths)


def test_a_presence_penalty_belongs_to_each_beam_alone() -> None:
    plain = found(5, beams=3, num_answers=3, max_tokens=6, ban_tokens=[END])
    varied = found(5, beams=3, num_answers=3, max_tokens=6, ban_tokens=[END], presence_penalty=2.0)
    assert np.mean([len(set(path.tokens)) for path in varied]) > np.mean([len(set(path.tokens)) for path in plain])
