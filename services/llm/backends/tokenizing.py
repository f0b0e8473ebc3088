"""Which tokenizer reads a model's ``tokenizer.json``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from clients.errors import BadRequest

from .unigram import Unigram, can_read

Tokenize = Callable[[Sequence[str]], list[list[int]]]


def tokenizer_of(path: Path, max_tokens: int) -> Tokenize:
    """A function from texts to ids, special tokens included, cut at ``max_tokens``.

    Raises:
        BadRequest: the file is no tokenizer.
    """
    try:
        spec = json.loads(path.read_bytes())
        if can_read(spec):
            return Unigram(spec, max_tokens).encode_batch
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRequest(f"{path} is not a tokenizer: {error!r}") from error
    return _of_library(path, max_tokens)


def _of_library(path: Path, max_tokens: int) -> Tokenize:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception for an unreadable file
        raise BadRequest(f"{path} is not a tokenizer: {error}") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return lambda texts: [encoding.ids for encoding in tokenizer.encode_batch_fast(list(texts))]
