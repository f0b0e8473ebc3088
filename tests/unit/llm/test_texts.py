"""Texts and pairs become the ids that the tokenizers library gives, and say when something was cut off."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from services.llm.backends.texts import Pairs, Texts, shares
from services.llm.backends.tokenizing import Frame, frames, tokenizer_of
from services.models import Card

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *[f"w{i}" for i in range(28)]]
SPECIAL = [("[CLS]", 2), ("[SEP]", 3)]
TEMPLATE = processors.TemplateProcessing(
    single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=SPECIAL
)
ROBERTA = processors.RobertaProcessing(("[SEP]", 3), ("[CLS]", 2))
BERT = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))


def tokenizer(processor):
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processor
    return made


def saved(directory, processor=TEMPLATE):
    tokenizer(processor).save(str(directory / "tokenizer.json"))
    return directory / "tokenizer.json"


def text(number: int) -> str:
    return " ".join(f"w{i % 28}" for i in range(number))


@pytest.mark.parametrize("processor", [TEMPLATE, ROBERTA, BERT, processors.Sequence([TEMPLATE])])
@pytest.mark.parametrize(("query", "document"), [(2, 3), (2, 40), (40, 2), (40, 40), (0, 5), (5, 0)])
def test_a_pair_is_written_and_cut_as_the_library_does(tmp_path, processor, query, document):
    library = tokenizer(processor)
    library.enable_truncation(17)
    (pair,) = Pairs(saved(tmp_path, processor), 17).prepare([(text(query), text(document))])
    whole = library.encode(text(query), text(document))
    assert pair.ids.tolist() == whole.ids
    assert pair.is_cut == bool(whole.overflowing)
    assert pair.second == (whole.type_ids.index(1) if 1 in whole.type_ids else 0)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(2, 40))
def test_a_query_of_at_most_half_the_room_is_never_cut(query, document, room):
    for_query, for_document = shares(query, document, room)
    assert for_query + for_document == min(query + document, room)
    assert for_query <= query
    assert for_document <= document
    assert for_query == query or query > room // 2


def test_a_text_says_that_it_was_cut(tmp_path):
    texts = Texts(saved(tmp_path), Card("m", "encoder"), 7)
    whole, cut, long = texts.prepare([text(5), text(6), "w1" * 500], "document")
    assert whole.ids.tolist() == [2, 4, 5, 6, 7, 8, 3]
    assert cut.ids.tolist() == whole.ids.tolist()
    assert (whole.is_cut, cut.is_cut, long.is_cut) == (False, True, True)


def test_an_instruction_takes_its_place_in_the_prefix(tmp_path):
    card = Card("m", "encoder", instruction="w1 w2", query_prefix="w9 {instruction} w9 ", document_prefix="")
    texts = Texts(saved(tmp_path), card, 20)
    (usual,), (other,) = texts.prepare(["w5"], "query"), texts.prepare(["w5"], "query", instruction="w3")
    assert usual.ids.tolist() == [2, 13, 5, 6, 13, 9, 3]
    assert other.ids.tolist() == [2, 13, 7, 13, 9, 3]
    assert usual.ids[usual.first : usual.last].tolist() == [9]
    assert other.ids[other.first : other.last].tolist() == [9]
    (document,) = texts.prepare(["w5"], "document", instruction="w3")
    assert document.ids.tolist() == [2, 9, 3]


def test_whole_texts_keep_their_special_tokens(tmp_path):
    assert tokenizer_of(saved(tmp_path), 4)(["w1 w2 w3", ""]) == [[2, 5, 6, 3], [2, 3]]


def test_a_tokenizer_without_a_post_processor_adds_nothing():
    assert frames({}) == (Frame(), Frame())
    assert frames(json.loads('{"type": "ByteLevel"}')) == (Frame(), Frame())
