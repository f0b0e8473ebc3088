from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.errors import BackendError
from services.llm.backends.remote.events import MAX_EVENT_BYTES, EventReader, read_events

LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=20)
BREAK = st.sampled_from(["\n", "\r\n", "\r"])
NOISE = st.sampled_from([": a comment", ":", "event: ping", "id: 7", "retry: 10", "unknown"])


@given(st.data())
def test_wherever_the_network_cuts_the_events_are_the_same(data: st.DataObject) -> None:
    events = data.draw(st.lists(st.lists(LINE, min_size=1, max_size=3), max_size=5))
    end = data.draw(BREAK)
    lines = []
    for event in events:
        for line in event:
            lines += data.draw(st.lists(NOISE, max_size=2))
            lines.append(f"data: {line}")
        lines.append("")
    raw = "".join(line + end for line in lines).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    assert list(read_events(pieces)) == ["\n".join(event) for event in events]


@pytest.mark.parametrize(
    ("raw", "events"),
    [
        (b"data: a\n\ndata:b\n\n", ["a", "b"]),
        (b"data:  a\n\n", [" a"]),
        (b"\xef\xbb\xbfdata: a\n\n", ["a"]),
        (b"data: a\ndata: b\n\n", ["a\nb"]),
        (b"data\n\n", [""]),
        (b": only a comment\n\n\n\n", []),
        (b"data: cut off\n", []),
        (b"data: mixed\r\n\r\ndata: ends\r\r", ["mixed", "ends"]),
        (b"error: {}\n\n", ["{}"]),
        (b"data: \xff\n\n", ["\ufffd"]),
    ],
)
def test_what_the_standard_says_of_lines_is_kept(raw: bytes, events: list[str]) -> None:
    assert list(read_events([raw])) == events


def test_an_event_without_end_is_given_up() -> None:
    reader = EventReader()
    with pytest.raises(BackendError, match="4 MiB"):
        list(reader.feed(b"data: " + b"x" * (MAX_EVENT_BYTES + 1)))
