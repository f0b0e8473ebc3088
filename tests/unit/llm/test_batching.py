"""Which texts go together: neighbours in length, nobody starves, nothing is lost, dropped or done twice."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.llm.batching import Batcher, Waiting

TEXTS = st.lists(st.tuples(st.integers(1, 512), st.integers(0, 5), st.booleans(), st.booleans()), max_size=60)
GROUPED = st.lists(st.tuples(st.integers(1, 64), st.integers(0, 5), st.integers(0, 3)), max_size=60)
WASTE, BUDGET = 48, 512


def waiting(
    number: int, num_tokens: int, owner: int = 0, *, urgent: bool = False, wanted: bool = True, group: int = 0
) -> Waiting[int]:
    return Waiting(number, num_tokens, owner, urgent, lambda: wanted, group)


def groups(texts: list[tuple[int, int, int]]) -> Batcher[int]:
    batcher: Batcher[int] = Batcher(WASTE, BUDGET)
    batcher.add(waiting(i, n, o, group=g) for i, (n, o, g) in enumerate(texts))
    return batcher


def queue(texts: list[tuple[int, int, bool, bool]], dropped: list[int]) -> Batcher[int]:
    batcher: Batcher[int] = Batcher(WASTE, BUDGET, dropped.append)
    batcher.add(waiting(i, n, o, urgent=u, wanted=w) for i, (n, o, u, w) in enumerate(texts))
    return batcher


def drain(batcher: Batcher[int]) -> list[list[Waiting[int]]]:
    batches = []
    while batch := batcher.take():
        batches.append(batch)
    return batches


@given(TEXTS)
def test_every_wanted_text_is_taken_once_and_every_other_dropped_once(texts):
    dropped: list[int] = []
    batcher = queue(texts, dropped)
    taken = [text.payload for batch in drain(batcher) for text in batch]
    assert sorted(taken) == [i for i, text in enumerate(texts) if text[3]]
    assert sorted(dropped) == [i for i, text in enumerate(texts) if not text[3]]
    assert len(batcher) == 0


@given(TEXTS)
def test_a_batch_keeps_to_the_budget_and_wastes_less_than_forwards_would_cost(texts):
    for batch in drain(queue(texts, [])):
        width = max(text.num_tokens for text in batch)
        assert len(batch) == 1 or width * len(batch) <= BUDGET
        assert width * len(batch) - sum(text.num_tokens for text in batch) <= WASTE * (len(batch) - 1)


@given(TEXTS)
def test_a_batch_leaves_no_neighbour_that_lies_between_its_own(texts):
    batcher = queue([(n, o, True, True) for n, o, _, _ in texts], [])
    left = list(range(len(texts)))
    for batch in drain(batcher):
        for text in batch:
            left.remove(text.payload)
        lengths = [text.num_tokens for text in batch]
        assert not any(min(lengths) < texts[i][0] < max(lengths) for i in left)


@given(GROUPED)
def test_only_texts_of_one_group_go_together_and_each_goes_once(texts):
    batches = drain(groups(texts))
    assert all(len({text.group for text in batch}) == 1 for batch in batches)
    assert sorted(text.payload for batch in batches for text in batch) == list(range(len(texts)))


@given(GROUPED)
def test_a_group_fills_its_batches_whoever_else_waits(texts):
    same = [(16, owner, group) for _, owner, group in texts]
    batches = drain(groups(same))
    for group in {group for _, _, group in same}:
        sizes = [len(batch) for batch in batches if batch[0].group == group]
        assert all(size == BUDGET // 16 for size in sizes[:-1]), "only the last batch of a group may be short"


@given(st.integers(2, 6), st.integers(1, 10))
def test_owners_take_turns_across_groups(num_owners, num_texts):
    batcher: Batcher[int] = Batcher(0, 1)
    for owner in range(num_owners):
        batcher.add(waiting(owner, 5, owner, group=owner) for _ in range(num_texts))
    turns = [batch[0].owner for batch in drain(batcher)]
    for start in range(0, len(turns), num_owners):
        assert sorted(turns[start : start + num_owners]) == list(range(num_owners))


@given(TEXTS)
def test_questions_and_documents_are_not_mixed_and_take_turns(texts):
    batches = drain(queue([(n, o, u, True) for n, o, u, _ in texts], []))
    assert all(len({text.is_urgent for text in batch}) == 1 for batch in batches)
    kinds = [batch[0].is_urgent for batch in batches]
    for at, (before, after) in enumerate(pairwise(kinds)):
        if before == after:
            assert all(kind == before for kind in kinds[at:]), "one kind had two turns while the other waited"


@given(st.integers(1, 300), st.integers(2, 8), st.integers(1, 10))
def test_a_question_waits_for_two_forwards_at_most(num_documents, num_owners, length):
    batcher: Batcher[int] = Batcher(WASTE, BUDGET)
    batcher.add(waiting(i, length + i % 400, i % num_owners) for i in range(num_documents))
    batcher.take()
    batcher.add([waiting(-1, 10, 99, urgent=True)])
    ahead = [batcher.take() for _ in range(2)]
    assert -1 in [text.payload for batch in ahead for text in batch]


@given(st.integers(2, 6), st.integers(1, 20))
def test_every_owner_has_its_turn_before_any_has_two(num_owners, num_texts):
    batcher: Batcher[int] = Batcher(0, 1)
    for owner in range(num_owners):
        batcher.add(waiting(owner, 5, owner) for _ in range(num_texts))
    turns = [batch[0].owner for batch in drain(batcher)]
    for start in range(0, len(turns), num_owners):
        assert sorted(turns[start : start + num_owners]) == list(range(num_owners))


def test_same_lengths_fill_the_budget():
    batcher: Batcher[int] = Batcher(WASTE, 100)
    batcher.add(waiting(i, 20) for i in range(12))
    assert [len(batch) for batch in drain(batcher)] == [5, 5, 2]


def test_a_text_far_longer_than_the_anchor_waits_for_its_own_batch():
    batcher: Batcher[int] = Batcher(WASTE, BUDGET)
    batcher.add([waiting(0, 10), waiting(1, 200), waiting(2, 14), waiting(3, 210)])
    assert [[text.payload for text in batch] for batch in drain(batcher)] == [[0, 2], [1, 3]]


def test_a_text_above_the_budget_is_a_batch_of_its_own():
    batcher: Batcher[int] = Batcher(WASTE, 100)
    batcher.add([waiting(0, 400), waiting(1, 400)])
    assert [len(batch) for batch in drain(batcher)] == [1, 1]


def test_an_empty_queue_gives_nothing():
    assert Batcher(WASTE, BUDGET).take() == []
