"""What waits for clients that read too slowly."""

from __future__ import annotations

from typing import Any

from clients.wire import Envelope, Kind
from proxies.parking import MAX_STREAM_BYTES, Parking, key_of


def part(seq: int, size: int = 0, kind: Kind = Kind.CHUNK) -> list[Any]:
    return [b"client", Envelope(kind, 7, seq=seq, body=b"x" * size).encode()]


def sent(parking: Parking, num: int, *, is_full: bool) -> list[list[Any]]:
    """What leaves when a client takes so many messages."""
    taken: list[list[Any]] = []

    def send(message: list[Any]) -> bool:
        if len(taken) == num:
            return False
        taken.append(message)
        return True

    parking.retry(send, lambda: is_full)
    return taken


def test_a_message_knows_its_call() -> None:
    assert key_of(part(0)) == (b"client", 7)
    assert key_of([b"client", b"", b"an older reply"]) is None


def test_messages_leave_in_order_as_there_is_room() -> None:
    parking = Parking()
    messages = [part(seq) for seq in range(5)]
    assert all(parking.add((b"client", 7), message) for message in messages)
    assert sent(parking, 2, is_full=True) == messages[:2]
    assert (b"client", 7) in parking
    assert sent(parking, 9, is_full=True) == messages[2:]
    assert not parking


def test_a_call_may_let_a_mebibyte_wait_and_then_nothing_of_it_waits() -> None:
    parking = Parking()
    num = 0
    while parking.add((b"client", 7), part(num, 1000)):
        num += 1
    assert 0.9 < num * 1000 / MAX_STREAM_BYTES < 1.0
    assert not parking


def test_the_end_of_a_call_always_finds_room() -> None:
    parking = Parking()
    assert parking.add((b"client", 7), part(0, MAX_STREAM_BYTES - 100))
    assert parking.add((b"client", 7), part(1, 2 * MAX_STREAM_BYTES, Kind.END))


def test_room_is_free_again_when_messages_have_left() -> None:
    parking = Parking()
    for seq in range(20):
        assert parking.add((b"client", 7), part(seq, MAX_STREAM_BYTES // 2))
        assert len(sent(parking, 1, is_full=True)) == 1


def test_what_is_for_a_client_that_is_gone_goes_nowhere() -> None:
    parking = Parking()
    parking.add((b"client", 7), part(0))
    assert sent(parking, 0, is_full=False) == []
    assert not parking
