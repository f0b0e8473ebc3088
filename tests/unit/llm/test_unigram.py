"""Our Unigram tokenizer splits every text as the tokenizers library does."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from clients.errors import BadRequest
from services.llm.backends.tokenizing import tokenizer_of
from services.llm.backends.unigram import Unigram, can_read
from services.models.sentencepiece import tokenizer_spec

PIECES = {
    "<s>": 0.0, "<pad>": 0.0, "</s>": 0.0, "<unk>": 0.0, "▁": -3.0, "▁a": -3.5, "a": -4.0, "b": -4.5, "ab": -5.0,
    "▁ab": -6.5, "aba": -7.0, "ba": -8.0, "bab": -8.5, "▁ba": -8.5, "红": -9.0, "红色": -9.5, "色的": -9.4, "～": -9.9,
    "1": -7.7, "<mask>": 0.0,
}  # fmt: skip
SPEC = tokenizer_spec(list(PIECES), list(PIECES.values()), 3)
TEXT = st.text(st.sampled_from("aabb红色的～zé\u0301Ａ①\t\n \u200b\x01▁1𝒂🙂"), max_size=40)


@given(TEXT, st.integers(3, 20))
def test_it_agrees_with_the_library(text, limit):
    library = Tokenizer.from_str(json.dumps(SPEC))
    whole = library.encode(text, add_special_tokens=False).ids
    ids = Unigram(SPEC, limit).split(text)
    assert ids == whole[: len(ids)]
    assert len(ids) == len(whole) or len(ids) > limit


def test_a_word_gives_the_same_pieces_from_the_cache():
    unigram = Unigram(SPEC, 50)
    assert unigram.split("abab abab") == unigram.split("abab abab")
    assert unigram.split_all(["a", "b"]) == [unigram.split("a"), unigram.split("b")]


def test_other_kinds_of_tokenizers_are_left_to_the_library(tmp_path):
    other = {"model": {"type": "WordLevel", "vocab": {"a": 0, "u": 1}, "unk_token": "u"}, "added_tokens": []}
    assert not can_read(other)
    assert not can_read({"model": {"type": "Unigram"}, "normalizer": {"type": "Precompiled"}})
    assert not can_read({})
    (tmp_path / "tokenizer.json").write_text(json.dumps({"version": "1.0", **other}))
    assert tokenizer_of(tmp_path / "tokenizer.json", 8)(["a"]) == [[0]]


@pytest.mark.parametrize(
    "content", ["", "[]", "null", "{", json.dumps(SPEC | {"post_processor": {"type": "TemplateProcessing"}})]
)
def test_a_broken_file_is_named(tmp_path, content):
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(BadRequest, match=r"tokenizer\.json"):
        tokenizer_of(tmp_path / "tokenizer.json", 8)
