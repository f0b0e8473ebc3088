"""Which tokenizer reads a model's ``tokenizer.json``, and what it puts around a text or a pair."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from clients.errors import BadRequest

from .unigram import Unigram, can_read

Tokenize = Callable[[Sequence[str]], list[list[int]]]


@dataclass(frozen=True, slots=True)
class Frame:
    """Special tokens around a text, or around and between two.

    Attributes:
        has_types: the second text and what follows it are of another type than the first.
    """

    before: tuple[int, ...] = ()
    between: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    has_types: bool = False

    @property
    def num_tokens(self) -> int:
        """How many there are."""
        return len(self.before) + len(self.between) + len(self.after)


class TokenizerFile:
    """A ``tokenizer.json``.

    Args:
        path: of the file.
        max_tokens: longest text, special tokens included; nothing far beyond it is split.

    Attributes:
        single, pair: the special tokens around one text and around two.

    Raises:
        BadRequest: the file is no tokenizer.
    """

    def __init__(self, path: Path, max_tokens: int) -> None:
        try:
            spec = json.loads(path.read_bytes())
            self.single, self.pair = frames(spec.get("post_processor") or {})
            self._split = Unigram(spec, max_tokens).split_all if can_read(spec) else _of_library(path, max_tokens)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadRequest(f"{path} is not a tokenizer: {error!r}") from error

    def split(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text without special tokens; more than ``max_tokens`` say that it is too long."""
        return self._split(texts)


def tokenizer_of(path: Path, max_tokens: int) -> Tokenize:
    """A function from texts to ids, special tokens included, cut at ``max_tokens``.

    Raises:
        BadRequest: the file is no tokenizer.
    """
    file = TokenizerFile(path, max_tokens)
    frame, room = file.single, max_tokens - file.single.num_tokens
    return lambda texts: [[*frame.before, *ids[:room], *frame.after] for ids in file.split(texts)]


def frames(processor: Mapping[str, Any]) -> tuple[Frame, Frame]:
    """What a ``post_processor`` puts around one text and around two.

    Raises:
        KeyError, TypeError, ValueError: it is not written as the tokenizers library writes it.
    """
    match processor.get("type"):
        case "TemplateProcessing":
            ids = {name: tuple(map(int, token["ids"])) for name, token in processor["special_tokens"].items()}
            return _frame(processor["single"], ids), _frame(processor["pair"], ids)
        case "BertProcessing" | "RobertaProcessing" as kind:
            begin, end = (int(processor["cls"][1]),), (int(processor["sep"][1]),)
            doubled = end * 2 if kind == "RobertaProcessing" else end
            return Frame(begin, (), end), Frame(begin, doubled, end, has_types=kind == "BertProcessing")
        case "Sequence":
            found = [frames(part) for part in processor["processors"]]
            return max(found, key=lambda pair: pair[0].num_tokens, default=(Frame(), Frame()))
    return Frame(), Frame()


def _frame(parts: Sequence[Mapping[str, Any]], ids: Mapping[str, tuple[int, ...]]) -> Frame:
    groups: list[list[int]] = [[]]
    types = []
    for part in parts:
        if "Sequence" in part:
            groups.append([])
            types.append(part["Sequence"]["type_id"])
        else:
            groups[-1].extend(ids[part["SpecialToken"]["id"]])
    return Frame(
        tuple(groups[0]), tuple(n for group in groups[1:-1] for n in group), tuple(groups[-1]), len(set(types)) > 1
    )


def _of_library(path: Path, max_tokens: int) -> Tokenize:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception for an unreadable file
        raise BadRequest(f"{path} is not a tokenizer: {error}") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens + 1)
    encode = partial(tokenizer.encode_batch_fast, add_special_tokens=False)
    return lambda texts: [encoding.ids for encoding in encode(list(texts))]
