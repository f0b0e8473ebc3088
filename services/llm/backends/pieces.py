"""Which ids make up a prompt that is put together from parts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from clients.errors import BadRequest


class Pieces:
    """The tokenizer of a causal model, with and without the special tokens it puts around a text.

    Attributes:
        head, tail: ids that the tokenizer puts before and after a whole text.

    Raises:
        BadRequest: the file is no tokenizer.
    """

    def __init__(self, path: Path) -> None:
        from tokenizers import Tokenizer

        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises plain Exception for an unreadable file
            raise BadRequest(f"{path} is not a tokenizer: {error}") from error
        self.path = path
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        whole = self._tokenizer.encode("a")
        own = [place for place, is_special in enumerate(whole.special_tokens_mask) if not is_special]
        self.head = tuple(whole.ids[: own[0]])
        self.tail = tuple(whole.ids[own[-1] + 1 :])

    def read_literally(self) -> None:
        """From now on a special token that is spelt out in a text is just text.

        So no document can close the turn it stands in and answer in the model's place.
        """
        self._tokenizer.encode_special_tokens = True

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text alone; special tokens that are spelt out in it are recognised."""
        found = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in found]

    def has(self, tokens: Sequence[str]) -> bool:
        """Whether each of them is a token."""
        return all(self._tokenizer.token_to_id(token) is not None for token in tokens)

    def token(self, word: str) -> int:
        """The id of a word that is a single token.

        Raises:
            BadRequest: it is none.
        """
        (ids,) = self.encode([word])
        if len(ids) != 1:
            raise BadRequest(
                f"{self.path} spells '{word}' as {len(ids)} tokens, so the model cannot rerank by yes and no",
                help="use a model whose tokenizer has 'yes' and 'no' as single tokens",
            )
        return ids[0]

    def end_token(self) -> int | None:
        """``<|endoftext|>``, where there is one."""
        found: int | None = self._tokenizer.token_to_id("<|endoftext|>")
        return found


def common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many ids two sequences begin with in common."""
    for place, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return place
    return min(len(first), len(second))
