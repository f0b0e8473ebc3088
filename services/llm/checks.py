"""Is a request to the LLM service one that it can work on."""

from __future__ import annotations

from collections.abc import Sequence

from clients.errors import BadRequest, TooLarge
from clients.llm import (
    MAX_CHARS_PER_CALL,
    MAX_PAIRS_PER_CALL,
    MAX_TEXTS_PER_CALL,
    Embed,
    Extract,
    Generate,
    Rerank,
    Score,
)

from .controls import check_controls

MAX_PAIRS = MAX_PAIRS_PER_CALL
MAX_PASSAGES = 64
MAX_SENTENCES = 20


def check_embed(request: Embed) -> None:
    """BadRequest or TooLarge, naming the text."""
    _check_texts("texts", request.texts, MAX_TEXTS_PER_CALL)
    for number, text in enumerate(request.texts):
        if not text.strip():
            raise BadRequest(f"texts[{number}] is empty", help="leave empty texts out")


def check_rerank(request: Rerank) -> None:
    """BadRequest or TooLarge; a document may be empty, it scores 0."""
    if not request.query.strip():
        raise BadRequest("the query is empty")
    _check_texts("documents", request.documents, MAX_PAIRS)


def check_score(request: Score) -> None:
    """BadRequest or TooLarge."""
    if len(request.queries) != len(request.documents):
        raise BadRequest(f"{len(request.queries)} queries and {len(request.documents)} documents do not make pairs")
    _check_texts("queries", request.queries, MAX_PAIRS)
    _check_texts("documents", request.documents, MAX_PAIRS)


def check_generate(request: Generate) -> None:
    """BadRequest or TooLarge, naming the control and its range."""
    if bool(request.prompt.strip()) == bool(request.messages):
        raise BadRequest(
            "give either a prompt or messages", help="a prompt is continued as it is, messages are a conversation"
        )
    check_controls(request)


def check_extract(request: Extract) -> None:
    """BadRequest or TooLarge."""
    if not request.question.strip():
        raise BadRequest("the question is empty")
    _check_texts("passages", request.passages, MAX_PASSAGES)
    if not 1 <= request.max_sentences <= MAX_SENTENCES:
        raise BadRequest(f"max_sentences is {request.max_sentences}; allowed are 1 to {MAX_SENTENCES}")


def _check_texts(name: str, texts: Sequence[str], limit: int) -> None:
    if not texts:
        raise BadRequest(f"'{name}' is empty")
    if len(texts) > limit:
        raise TooLarge(f"{len(texts)} {name}; one call takes {limit}", help="send several calls")
    num_chars = sum(map(len, texts))
    if num_chars > MAX_CHARS_PER_CALL:
        raise TooLarge(
            f"{num_chars} characters in '{name}'; one call takes {MAX_CHARS_PER_CALL}",
            help="send several calls, or cut the texts",
        )
