"""How does an encoder see a text, or a query with a document: prefix, special tokens, and what is cut off."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from clients.llm import Role
from services.models import Card

from .base import Prepared, PreparedPair
from .tokenizing import TokenizerFile

# Far more than fits: what is cut off anyway need not be tokenised.
CHARS_PER_TOKEN = 32
DEFAULT_TOKENS = 512


def limit_of(card: Card, *limits: int) -> int:
    """The longest input under several limits, of which 0 is none."""
    return min(filter(None, (card.max_tokens, *limits)), default=DEFAULT_TOKENS)


class Texts:
    """Texts for an embedding model.

    Args:
        path: the model's ``tokenizer.json``.
        card: has the prefixes.
        max_tokens: longest text with prefix and special tokens.
    """

    def __init__(self, path: Path, card: Card, max_tokens: int) -> None:
        self._card = card
        self._file = TokenizerFile(path, max_tokens)
        self._room = max_tokens - self._file.single.num_tokens
        self._max_chars = max_tokens * CHARS_PER_TOKEN
        self._count = lru_cache(maxsize=64)(self._count_tokens)

    def prepare(
        self, texts: Sequence[str], role: Role, *, instruction: str = "", wants_tokens: bool = False
    ) -> list[Prepared]:
        """Tokenise with the model's prefix for the role, in which ``{instruction}`` is filled in."""
        prefix = self._card.query_prefix if role == "query" else self._card.document_prefix
        prefix = prefix.replace("{instruction}", instruction or self._card.instruction)
        own = self._count(prefix)
        texts = [text.strip() for text in texts]
        rows = self._file.split([prefix + text[: self._max_chars] for text in texts])
        return [self._prepared(ids, own, text, wants_tokens) for ids, text in zip(rows, texts, strict=True)]

    def _prepared(self, ids: list[int], own: int, text: str, wants_tokens: bool) -> Prepared:
        frame = self._file.single
        is_cut = len(ids) > self._room or len(text) > self._max_chars
        whole = np.array([*frame.before, *ids[: self._room], *frame.after], np.int32)
        last = len(whole) - len(frame.after)
        return Prepared(whole, min(len(frame.before) + own, last), last, wants_tokens, is_cut)

    def _count_tokens(self, prefix: str) -> int:
        return len(self._file.split([prefix.strip()])[0])


class Pairs:
    """Queries with documents for a cross-encoder.

    Args:
        path: the model's ``tokenizer.json``.
        max_tokens: longest pair with special tokens.
    """

    def __init__(self, path: Path, max_tokens: int) -> None:
        self._file = TokenizerFile(path, max_tokens)
        self._room = max_tokens - self._file.pair.num_tokens
        self._max_chars = max_tokens * CHARS_PER_TOKEN

    def prepare(self, pairs: Sequence[tuple[str, str]]) -> list[PreparedPair]:
        """Tokenise; a query is split once for all its documents."""
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        rows = self._file.split([text.strip()[: self._max_chars] for text in texts])
        split = dict(zip(texts, rows, strict=True))
        return [self._prepared(split[query], split[document]) for query, document in pairs]

    def _prepared(self, query: list[int], document: list[int]) -> PreparedPair:
        frame = self._file.pair
        for_query, for_document = shares(len(query), len(document), self._room)
        start = [*frame.before, *query[:for_query], *frame.between]
        ids = np.array([*start, *document[:for_document], *frame.after], np.int32)
        is_cut = for_query < len(query) or for_document < len(document)
        return PreparedPair(ids, is_cut=is_cut, second=len(start) if frame.has_types else 0)


def shares(query: int, document: int, room: int) -> tuple[int, int]:
    """How many tokens of each fit: the document is cut, and the query only where it takes more than half.

    The rule is ``longest_first`` of the tokenizers library, with which cross-encoders are trained and served.
    """
    if query + document <= room:
        return query, document
    if query <= document:
        for_query = min(query, room // 2)
        return for_query, room - for_query
    for_document = min(document, room // 2)
    return room - for_document, for_document
