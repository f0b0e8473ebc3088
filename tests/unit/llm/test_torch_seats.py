"""A new text gets the seat that saves the most reading, and spoils what others remember only when it must."""

from __future__ import annotations

from services.llm.backends.torch.seats import Seats


def used(seats: Seats, ids: list[int]) -> int:
    """The number of the seat that a whole text had."""
    seating = seats.take(ids)
    seating.seat.ids = list(ids)
    seats.free(seating.seat)
    return seating.seat.number


def test_a_text_that_goes_on_where_another_ended_gets_its_seat():
    seats = Seats(3)
    first = used(seats, [1, 2, 3, 4])
    used(seats, [7, 8, 9])
    seating = seats.take([1, 2, 3, 5, 6])
    assert (seating.seat.number, seating.num_kept, seating.source) == (first, 3, None)
    assert seating.seat.ids == [1, 2, 3]


def test_the_last_token_of_a_prompt_is_always_read():
    seats = Seats(1)
    used(seats, [1, 2, 3, 4])
    assert seats.take([1, 2, 3]).num_kept == 2


def test_a_busy_seat_lends_what_it_has():
    seats = Seats(2)
    busy = seats.take([1, 2, 3, 4]).seat
    busy.ids = [1, 2, 3, 4]
    seating = seats.take([1, 2, 3, 4, 5])
    assert (seating.num_kept, seating.source) == (4, busy)
    assert seating.seat is not busy
    assert not seats.has_free


def test_a_new_subject_takes_an_empty_seat_or_the_one_that_was_free_for_longest():
    seats = Seats(2)
    assert used(seats, [1, 2]) != used(seats, [3, 4])
    used(seats, [1, 2, 5])
    assert seats.take([9]).num_kept == 0
    assert seats.take([1, 2, 5, 6]).num_kept == 3


def test_what_is_not_to_be_trusted_is_not_used():
    seats = Seats(1)
    used(seats, [1, 2, 3])
    seats.forget()
    assert seats.take([1, 2, 3]).num_kept == 0
