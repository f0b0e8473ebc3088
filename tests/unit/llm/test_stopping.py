"""Stop texts cut a growing text at the same place, however it is cut into pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.llm.stopping import Stopper

LETTERS = st.text("ab\n", max_size=30)


@given(st.lists(LETTERS, max_size=12), st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3))
def test_what_is_shown_is_the_text_up_to_the_stop_that_is_complete_first(pieces, stops):
    stopper = Stopper(stops)
    shown = ""
    for piece in pieces:
        shown += stopper.feed(piece)
        assert not any(stop in shown for stop in stops)
        if stopper.is_stopped:
            break
    shown += stopper.flush()
    whole = "".join(pieces)
    found = [(at + len(stop), at) for stop in stops if (at := whole.find(stop)) >= 0]
    assert shown == stopper.text == whole[: min(found, default=(0, len(whole)))[1]]
    assert stopper.is_stopped == bool(found)


def test_the_stop_that_is_complete_first_counts_in_one_piece_as_in_many():
    whole, apart = Stopper(["a", "bab!"]), Stopper(["a", "bab!"])
    assert whole.feed("bab!") == "".join(map(apart.feed, ["b", "ab", "!"])) == "b"


@pytest.mark.parametrize(
    ("pieces", "shown"), [(["Hello <", "b"], ["Hello ", "<b"]), (["x</", "s>", "y"], ["x", "", ""])]
)
def test_the_beginning_of_a_stop_text_is_held_back_until_it_is_certain(pieces, shown):
    stopper = Stopper(["</s>"])
    assert [stopper.feed(piece) for piece in pieces] == shown


def test_without_stop_texts_everything_passes_at_once():
    assert Stopper([]).feed("anything") == "anything"
