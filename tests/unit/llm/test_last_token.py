"""Texts for a last-token embedder end with the end token, whatever is cut, and queries carry the instruction."""

from __future__ import annotations

from services.llm.backends.last_token import LastTokenPrompt
from services.models import Card

from .small_tokenizer import END, write

CARD = Card(
    "small", "decoder", ("embed",), max_tokens=64, pooling="last", instruction="Find cats",
    query_prefix="Instruct: {instruction}\nQuery:",
)  # fmt: skip


def test_documents_are_raw_and_queries_have_the_instruction_with_no_space_behind_the_colon(tmp_path):
    tokenizer = write(tmp_path, has_end=True)
    prompt = LastTokenPrompt(tmp_path, CARD)
    (document,) = prompt.prepare([" The cat "], "document")
    assert document.ids.tolist() == tokenizer.encode(" The cat ").ids
    (query,) = prompt.prepare(["cat?"], "query")
    assert query.ids.tolist() == tokenizer.encode("Instruct: Find cats\nQuery:cat?").ids
    (told,) = prompt.prepare(["cat?"], "query", "Find mats")
    assert told.ids.tolist() == tokenizer.encode("Instruct: Find mats\nQuery:cat?").ids


def test_a_text_that_is_cut_keeps_its_end_token(tmp_path):
    tokenizer = write(tmp_path, has_end=True)
    (text,) = LastTokenPrompt(tmp_path, CARD, max_tokens=5).prepare(["The cat sits on the mat."], "document")
    assert text.ids.tolist() == [*tokenizer.encode("The cat sits on the mat.").ids[:4], END]
    assert text.is_cut
    assert LastTokenPrompt(tmp_path, CARD, max_tokens=999).prepare(["yes " * 99], "document")[0].num_tokens == 64


def test_a_tokenizer_that_lost_its_end_token_gets_it_back(tmp_path):
    write(tmp_path, has_end=False)
    (text,) = LastTokenPrompt(tmp_path, CARD).prepare(["The cat"], "document")
    assert text.ids[-1] == END


def test_a_texts_own_tokens_are_those_between_the_instruction_and_the_end(tmp_path):
    tokenizer = write(tmp_path, has_end=True)
    (query,) = LastTokenPrompt(tmp_path, CARD).prepare([" the cat"], "query")
    own = tokenizer.encode(" the cat", add_special_tokens=False).ids
    assert query.ids[query.first : query.last].tolist() == own


def test_an_empty_text_is_its_end_token(tmp_path):
    write(tmp_path, has_end=True)
    (text,) = LastTokenPrompt(tmp_path, CARD).prepare([""], "document")
    assert text.ids.tolist() == [END]
    assert (text.first, text.last, text.is_cut) == (0, 0, False)
