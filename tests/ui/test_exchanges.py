"""A round looks the same after a reload."""

from __future__ import annotations

from dataclasses import replace

from clients.answers import Answer, Citation, Decision, Delta, Rewritten, Round, Sources
from clients.index import Hit, Turn
from clients.packing import pack, unpack
from ui.exchanges import MAX_HIT_CHARS, Exchange, exchange_of, rounds_of, told, turn_of

HIT = Hit("k1", "d1", "guide.md", "Text. " * 200, 3.2, "fused", page=2, scores={"dense": 0.7}, ranks={"dense": 1})
DECISION = Decision("answer", 0.9, 0.5, "it is there")
CITATION = Citation(1, "k1", "d1", "guide.md", HIT.text, "Text.", 0, 5, page=2)
ANSWER = Answer(
    "Text. [1]", "extractive", [CITATION], DECISION, "why?", "why so?", timings={"search": 0.1}, notes=["n"]
)
EVENTS = [Rewritten("why so?"), Sources([HIT]), DECISION, Delta("Text. "), Delta("[1]"), ANSWER]
BEGUN = Exchange("why?", "handbook", created_at=5.0)


def test_a_stored_round_comes_back_as_it_was() -> None:
    exchange = told(BEGUN, EVENTS)
    assert (exchange.text, exchange.query, exchange.answer) == ("Text. [1]", "why so?", ANSWER)
    carried = unpack(Turn, pack(turn_of("c1", exchange)))
    back = exchange_of(carried)
    assert back == replace(exchange, hits=[replace(HIT, text=HIT.text[:MAX_HIT_CHARS])])


def test_a_round_of_another_release_keeps_its_words() -> None:
    turn = Turn("c1", "why?", "Because.", "handbook", 5.0, {"from": "the future"})
    assert exchange_of(turn) == Exchange("why?", "handbook", "Because.", created_at=5.0)
    assert exchange_of(replace(turn, detail={})).text == "Because."


def test_an_unfinished_round_is_stored_too() -> None:
    exchange = replace(told(BEGUN, EVENTS[:4]), is_stopped=True)
    assert exchange_of(turn_of("c1", exchange)).is_stopped
    assert exchange_of(turn_of("c1", exchange)).decision == DECISION


def test_the_last_rounds_count_and_empty_ones_do_not() -> None:
    exchanges = [Exchange(f"q{i}", "handbook", f"a{i}" if i != 5 else "") for i in range(9)]
    assert rounds_of(exchanges, 3) == [Round("q6", "a6"), Round("q7", "a7"), Round("q8", "a8")]
    assert len(rounds_of(exchanges, 6)) == 6
    assert rounds_of(exchanges, 0) == []
