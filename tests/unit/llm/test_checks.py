"""Bad requests to the LLM service are refused with the field and the reason."""

from __future__ import annotations

import pytest

from clients.errors import BadRequest, RagqError, TooLarge
from clients.llm import MAX_CHARS_PER_CALL, Embed, Extract, Generate, Message, Rerank, Score
from services.llm.checks import MAX_PAIRS, check_embed, check_extract, check_generate, check_rerank, check_score


@pytest.mark.parametrize(
    ("texts", "error", "words"),
    [
        ([], BadRequest, "'texts' is empty"),
        (["a", " \n"], BadRequest, r"texts\[1\]"),
        (["a"] * 65, TooLarge, "65 texts; one call takes 64"),
        (["a" * (MAX_CHARS_PER_CALL + 1)], TooLarge, "characters"),
    ],
)
def test_texts_to_embed(texts, error, words):
    with pytest.raises(error, match=words):
        check_embed(Embed(texts))


@pytest.mark.parametrize(
    ("control", "words"),
    [
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": 2.1}, "0 to 2"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": 1.1}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"repetition_penalty": 0.0}, "repetition_penalty"),
        ({"presence_penalty": 3.0}, "presence_penalty"),
        ({"stop": [""]}, "stop"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"prompt": ""}, "either a prompt or messages"),
        ({"messages": [Message("user", "hi")]}, "either a prompt or messages"),
    ],
)
def test_controls_of_a_generation(control, words):
    with pytest.raises(BadRequest, match=words):
        check_generate(Generate(**{"prompt": "hello", **control}))


@pytest.mark.parametrize(
    ("check", "request_", "words"),
    [
        (check_rerank, Rerank(" ", ["a"]), "query is empty"),
        (check_rerank, Rerank("q", []), "'documents' is empty"),
        (check_rerank, Rerank("q", ["a"] * (MAX_PAIRS + 1)), "one call takes"),
        (check_score, Score(["q"], ["a", "b"]), "do not make pairs"),
        (check_score, Score([], []), "'queries' is empty"),
        (check_extract, Extract("", ["a"]), "question is empty"),
        (check_extract, Extract("q", []), "'passages' is empty"),
        (check_extract, Extract("q", ["a"], 0), "max_sentences"),
    ],
)
def test_other_requests(check, request_, words):
    with pytest.raises(RagqError, match=words):
        check(request_)


def test_good_requests_pass():
    check_embed(Embed(["a"] * 64))
    check_rerank(Rerank("q", ["", "a"]))
    check_score(Score(["q"], ["a"]))
    check_generate(Generate(messages=[Message("user", "hi")], temperature=2.0, top_p=1.0, stop=["\n"]))
    check_extract(Extract("q", ["a"], 20))
