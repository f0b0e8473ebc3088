"""Which ids does a model see that says yes or no to a query and a document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from clients.errors import TooLarge
from services.models import Card

from .base import PreparedPair
from .pieces import Pieces, common
from .prompts import INSTRUCTION, QWEN3_TOKENS, body, frame_of, head_of_body

# The reference code of Qwen3-Reranker reads no more, whatever the model's own limit is.
DEFAULT_TOKENS = 8192
# Far more than fits: what is cut off anyway need not be tokenised.
CHARS_PER_TOKEN = 32


class YesNoPrompt:
    """The prompt of Qwen3-Reranker, or the chat template of another causal model.

    Args:
        directory: of the model, with its ``tokenizer.json``.
        card: gives the limit and the instruction.
        is_qwen3: the model type is ``qwen3``.
        max_tokens: longest prompt; 0 is the card's limit, and at most 8192.
        instruction: for calls without one; empty is the card's, or else that of Qwen3-Reranker.

    Attributes:
        yes, no: the ids whose logits are compared.
        max_tokens: longest prompt.

    Raises:
        BadRequest: yes or no is not a single token, or the files are broken.
        TooLarge: not even the frame fits.
    """

    def __init__(
        self, directory: Path, card: Card, *, is_qwen3: bool, max_tokens: int = 0, instruction: str = ""
    ) -> None:
        self._pieces = Pieces(directory / "tokenizer.json")
        self._instruction = instruction or card.instruction or INSTRUCTION
        self.max_tokens = min(max_tokens or DEFAULT_TOKENS, card.max_tokens or DEFAULT_TOKENS)
        self.yes, self.no = self._pieces.token("yes"), self._pieces.token("no")
        frame = frame_of(directory, is_qwen3=is_qwen3 and self._pieces.has(QWEN3_TOKENS))
        prefix, suffix = self._pieces.encode([frame.prefix, frame.suffix])
        head = self._pieces.head
        self._prefix = prefix if tuple(prefix[: len(head)]) == head else [*head, *prefix]
        self._suffix = suffix
        self._pieces.read_literally()
        self._room = self.max_tokens - len(self._prefix) - len(self._suffix)
        if self._room < 1:
            raise TooLarge(f"max_tokens is {self.max_tokens}; the prompt around a pair has {-self._room} tokens more")

    def prepare(self, pairs: Sequence[tuple[str, str]], instruction: str = "") -> list[PreparedPair]:
        """Tokenise; a document that does not fit is cut at its end, the query never is.

        Raises:
            TooLarge: a query leaves no room for a document.
        """
        told = instruction or self._instruction
        queries = list(dict.fromkeys(query for query, _ in pairs))
        heads = dict(zip(queries, self._pieces.encode([head_of_body(told, query) for query in queries]), strict=True))
        for head in heads.values():
            self._check(head)
        max_chars = self._room * CHARS_PER_TOKEN
        bodies = self._pieces.encode([body(told, query, document[:max_chars]) for query, document in pairs])
        return [self._pair(heads[query], ids) for (query, _), ids in zip(pairs, bodies, strict=True)]

    def _check(self, head: Sequence[int]) -> None:
        if len(head) >= self._room:
            raise TooLarge(
                f"the query has {len(head)} tokens with its instruction, and at most {self._room - 1} leave room "
                "for a document",
                help="shorten the query",
            )

    def _pair(self, head: Sequence[int], ids: list[int]) -> PreparedPair:
        """Splits where the document begins, or earlier where the tokenizer merged across that place."""
        is_cut = len(ids) > self._room
        ids = ids[: self._room]
        split = common(head, ids)
        shared = (*self._prefix, *ids[:split])
        return PreparedPair(np.array([*ids[split:], *self._suffix], np.int32), shared, is_cut)
