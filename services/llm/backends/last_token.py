"""Which ids does an embedding model see that reads from left to right and ends with the vector of its last token."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from clients.llm import Role
from services.models import Card

from .base import Prepared
from .pieces import Pieces, common

DEFAULT_TOKENS = 8192
# Far more than fits: what is cut off anyway need not be tokenised.
CHARS_PER_TOKEN = 32


class LastTokenPrompt:
    """Texts of Qwen3-Embedding and its like.

    The end token is the one whose vector counts: what the tokenizer puts behind a text, which for
    Qwen3-Embedding is ``<|endoftext|>`` and not the ``eos_token`` of its settings. It stays when a text is cut.

    Args:
        directory: of the model, with its ``tokenizer.json``.
        card: gives the prefixes and the instruction.
        max_tokens: longest text; 0 is the card's limit, and at most 8192.
        instruction: for queries of calls without one; empty is the card's.

    Raises:
        BadRequest: the tokenizer cannot be read.
    """

    def __init__(self, directory: Path, card: Card, *, max_tokens: int = 0, instruction: str = "") -> None:
        self._pieces = Pieces(directory / "tokenizer.json")
        self._card = card
        self._instruction = instruction or card.instruction
        self.max_tokens = min(max_tokens or DEFAULT_TOKENS, card.max_tokens or DEFAULT_TOKENS)
        end = self._pieces.end_token()
        # A converted tokenizer that lost its post-processor would pool an arbitrary last word.
        self._tail = self._pieces.tail or (() if end is None else (end,))

    def prepare(
        self, texts: Sequence[str], role: Role, instruction: str = "", *, wants_tokens: bool = False
    ) -> list[Prepared]:
        """Tokenise with the prefix of the role; a text that is too long is cut before its end token."""
        prefix = self._prefix(role, instruction)
        max_chars = self.max_tokens * CHARS_PER_TOKEN
        own, *rows = self._pieces.encode([prefix, *(prefix + text[:max_chars] for text in texts)])
        return [self._prepared(own, ids, wants_tokens=wants_tokens) for ids in rows]

    def _prefix(self, role: Role, instruction: str) -> str:
        if role != "query":
            return self._card.document_prefix
        return self._card.query_prefix.replace("{instruction}", instruction or self._instruction)

    def _prepared(self, prefix: Sequence[int], ids: list[int], *, wants_tokens: bool) -> Prepared:
        head, tail = self._pieces.head, self._tail
        room = max(0, self.max_tokens - len(head) - len(tail))
        kept = ids[:room]
        whole = np.array([*head, *kept, *tail], np.int32)
        first = len(head) + common(prefix, kept)
        return Prepared(whole, first, len(head) + len(kept), wants_tokens, is_cut=len(ids) > room)
