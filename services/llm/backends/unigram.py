"""How does a text split into the pieces of a Unigram vocabulary.

The ``tokenizers`` library keeps such a vocabulary of 250,000 pieces in 290 MB; a dictionary needs 90.
Splitting takes 1 % of the time of the forward pass, as it does there. The result is the same: best
path by the sum of scores (Kudo 2018), unknown characters in a row are one piece; only that a special
token written out in a text stays text here.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import Any

UNKNOWN_PENALTY = 10.0
MAX_CACHED = 1 << 15
MAX_CACHED_CHARS = 24
MARK = "▁"
LOWEST = float("-inf")


def can_read(spec: Mapping[str, Any]) -> bool:
    """Whether a ``tokenizer.json`` is of the kind that this file splits as the library does."""
    model, normalizer, splitter = spec.get("model") or {}, spec.get("normalizer") or {}, spec.get("pre_tokenizer") or {}
    steps = normalizer.get("normalizers", [])
    return (
        model.get("type") == "Unigram"
        and not model.get("byte_fallback")
        and normalizer.get("type") == "Sequence"
        and all(step["type"] in ("NFKC", "Replace") for step in steps)
        and [part["type"] for part in splitter.get("pretokenizers", [])] == ["WhitespaceSplit", "Metaspace"]
    )


class Unigram:
    """A tokenizer read from a ``tokenizer.json`` for which ``can_read`` holds.

    Args:
        spec: the file as plain values.
        max_tokens: splitting ends soon after so many pieces.
    """

    def __init__(self, spec: Mapping[str, Any], max_tokens: int) -> None:
        model = spec["model"]
        pieces: list[str] = [piece for piece, _ in model["vocab"]]
        self._scores = array("d", (score for _, score in model["vocab"]))
        self._unknown = int(model["unk_id"])
        self._unknown_score = min(self._scores) - UNKNOWN_PENALTY
        special = {token["content"]: int(token["id"]) for token in spec["added_tokens"]}
        self._ids = {piece: number for number, piece in enumerate(pieces) if piece not in special}
        self._reach = _reach(self._ids)
        self._steps = [_step(step) for step in spec["normalizer"]["normalizers"]]
        self._max_tokens = max_tokens
        self._cache: dict[str, tuple[int, ...]] = {}

    def split(self, text: str) -> list[int]:
        """Ids without special tokens; more than ``max_tokens`` say that there are still more."""
        for step in self._steps:
            text = step(text)
        ids: list[int] = []
        for word in text.split():
            ids.extend(self._word(MARK + word))
            if len(ids) > self._max_tokens:
                break
        return ids

    def split_all(self, texts: Sequence[str]) -> list[list[int]]:
        """Each of the texts."""
        return [self.split(text) for text in texts]

    def _word(self, word: str) -> tuple[int, ...]:
        known = self._cache.get(word)
        if known is not None:
            return known
        ids = tuple(self._best(word))
        if len(word) <= MAX_CACHED_CHARS:
            if len(self._cache) >= MAX_CACHED:
                self._cache.clear()
            self._cache[word] = ids
        return ids

    def _best(self, word: str) -> list[int]:
        """The ids of the best path through the word, first to last."""
        size = len(word)
        totals = [0.0, *[LOWEST] * size]
        starts = [0] * (size + 1)
        chosen = [self._unknown] * (size + 1)
        ids, scores, reach = self._ids, self._scores, self._reach
        for start in range(size):
            total = totals[start]
            is_alone = False
            for end in range(start + 1, min(size, start + reach.get(word[start : start + 2], 1)) + 1):
                number = ids.get(word[start:end])
                if number is not None:
                    is_alone = is_alone or end == start + 1
                    if total + scores[number] > totals[end]:
                        totals[end], starts[end], chosen[end] = total + scores[number], start, number
            if not is_alone and total + self._unknown_score > totals[start + 1]:
                totals[start + 1], starts[start + 1], chosen[start + 1] = (
                    total + self._unknown_score,
                    start,
                    self._unknown,
                )
        return self._path(starts, chosen)

    def _path(self, starts: list[int], chosen: list[int]) -> list[int]:
        path: list[int] = []
        end = len(starts) - 1
        while end:
            if chosen[end] != self._unknown or not path or path[-1] != self._unknown:
                path.append(chosen[end])
            end = starts[end]
        return path[::-1]


def _reach(ids: Mapping[str, int]) -> dict[str, int]:
    """The first two characters of pieces, and the length of the longest piece that begins so."""
    reach: dict[str, int] = {}
    for piece in ids:
        if len(piece) > 1:
            reach[piece[:2]] = max(reach.get(piece[:2], 0), len(piece))
    return reach


def _step(step: Mapping[str, Any]) -> Callable[[str], str]:
    if step["type"] == "NFKC":
        return lambda text: unicodedata.normalize("NFKC", text)
    pattern, content = step["pattern"], step["content"]
    if "String" in pattern:
        return lambda text: text.replace(pattern["String"], content)
    expression = re.compile(pattern["Regex"])
    return lambda text: expression.sub(content, text)
