"""Stop texts cut a growing text at the same place, however it is cut into pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.llm.stopping import Stopper

LETTERS = st.text("ab\n", max_size=30)


@given(st.lists(LETTERS, max_size=12), st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3))
def test_what_is_shown_is_the_text_up_to_the_first_stop(pieces, stops):
    stopper = Stopper(stops)
    shown = ""
    for piece in pieces:
        shown += stopper.feed(piece)
        assert not any(stop in shown for stop in stops)
        if stopper.is_stopped:
            break
    shown += stopper.flush()
    whole = "".join(pieces)
    ends = [at for at in map(whole.find, stops) if at >= 0]
    assert shown == stopper.text == whole[: min(ends, default=len(whole))]
    assert stopper.is_stopped == bool(ends)


@pytest.mark.parametrize(
    ("pieces", "shown"), [(["Hello <", "b"], ["Hello ", "<b"]), (["x</", "s>", "y"], ["x", "", ""])]
)
def test_the_beginning_of_a_stop_text_is_held_back_until_it_is_certain(pieces, shown):
    stopper = Stopper(["</s>"])
    assert [stopper.feed(piece) for piece in pieces] == shown


def test_without_stop_texts_everything_passes_at_once():
    assert Stopper([]).feed("anything") == "anything"
