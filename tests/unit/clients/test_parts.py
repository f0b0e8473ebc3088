"""Many texts in several calls: how they are cut, and how the replies become one again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.embedding import Embeddings, embed_requests, joined
from clients.errors import BadRequest
from clients.parts import MAX_CHARS_PER_CALL, TEXTS_PER_PROGRESS, Progress, cut
from clients.scoring import Scores, merged, ranked, rerank_requests, score_requests


@given(st.lists(st.integers(0, 2 * MAX_CHARS_PER_CALL), max_size=300), st.integers(1, 100))
def test_parts_hold_every_text_once_in_order_and_within_the_limits(num_chars: list[int], max_texts: int) -> None:
    cuts = cut(num_chars, max_texts)
    assert [i for piece in cuts for i in piece] == list(range(len(num_chars)))
    for piece in cuts:
        assert 1 <= len(piece) <= max_texts
        assert len(piece) == 1 or sum(num_chars[i] for i in piece) <= MAX_CHARS_PER_CALL


def test_parts_are_small_when_somebody_waits_for_word_of_them() -> None:
    assert {len(piece) for piece in cut([1] * 64, 256, tells=True)} == {TEXTS_PER_PROGRESS}
    assert cut([1] * 64, 256) == [range(64)]


def test_what_was_truncated_is_counted_over_all_parts() -> None:
    split = rerank_requests("q", [f"d{i}" for i in range(300)], "", "")
    parts = [_scores([0.5] * len(piece), truncated=[1]) for piece in split.cuts]
    whole = merged(parts, split.cuts)
    assert whole.truncated == [1, 257]
    assert (len(whole.scores), whole.num_tokens, whole.kind) == (300, 14, "probability")


def test_vectors_of_parts_are_joined_in_order() -> None:
    split = embed_requests([str(i) for i in range(70)], "query", "m", "find it", 2)
    assert [(len(r.texts), r.role, r.model, r.instruction, r.dimension) for r in split.requests] == [
        (64, "query", "m", "find it", 2),
        (6, "query", "m", "find it", 2),
    ]
    rows = [np.full((len(piece), 2), piece.start, np.float32) for piece in split.cuts]
    whole = joined([Embeddings(row, "m", 10, [0]) for row in rows], split.cuts)
    assert whole.vectors[:, 0].tolist() == [0.0] * 64 + [64.0] * 6
    assert (whole.num_tokens, whole.truncated, whole.model) == (20, [0, 64], "m")


def test_no_texts_are_no_calls_and_an_empty_array() -> None:
    split = embed_requests([], "document", "", "", 0)
    assert split.requests == []
    assert joined([], []).vectors.shape == (0, 0)


def test_documents_are_ordered_by_logits_where_their_scores_round_to_the_same_number() -> None:
    reply = Scores(np.ones(3, np.float32), np.array([17.5, 19.0, 17.5], np.float32), "probability", "m")
    assert [r.index for r in ranked(reply, ["a", "b", "c"], None)] == [1, 0, 2]


def test_one_query_stands_for_as_many_as_there_are_documents() -> None:
    request = score_requests("q", ["a", "b"], "", "").requests[0]
    assert (request.queries, request.documents) == (["q", "q"], ["a", "b"])


def test_queries_and_documents_that_make_no_pairs_are_refused() -> None:
    with pytest.raises(BadRequest, match="2 queries and 1 documents"):
        score_requests(["a", "b"], ["c"], "", "")
    with pytest.raises(BadRequest, match="nothing to score"):
        merged([], [])


def test_progress_counts_texts_in_the_order_in_which_parts_end() -> None:
    split = rerank_requests("q", ["d"] * 40, "", "", tells=True)
    seen: list[Progress[Scores]] = []
    tell = split.teller(seen.append)
    assert tell is not None
    for number in (2, 0, 1):
        tell(number, _scores([0.1] * len(split.cuts[number])))
    assert [(p.done, p.total, p.indices) for p in seen] == [
        (8, 40, range(32, 40)),
        (24, 40, range(16)),
        (40, 40, range(16, 32)),
    ]
    assert len(seen[0].part.scores) == 8


def _scores(values: list[float], truncated: list[int] | None = None) -> Scores:
    row = np.array(values, np.float32)
    return Scores(row, row, "probability", "m", 7, truncated or [])
