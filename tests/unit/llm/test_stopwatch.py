"""The times of a generation add up."""

from __future__ import annotations

from services.llm.stopwatch import Stopwatch


def test_queue_first_token_and_pause_are_measured_from_the_beginning() -> None:
    now = [100.0]
    watch = Stopwatch(lambda: now[0])
    for wait, deed in ((1.0, watch.begin), (2.0, watch.note), (0.5, watch.note), (0.5, lambda: watch.note(2))):
        now[0] += wait
        deed()
    now[0] += 1.0
    usage = watch.usage(7, 3)
    assert (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens) == (7, 3, 4)
    assert (usage.queue_s, usage.first_token_s, usage.total_s) == (1.0, 3.0, 5.0)
    assert usage.token_s == 1.0 / 3


def test_an_answer_without_a_token_has_no_first_one() -> None:
    usage = Stopwatch(lambda: 5.0).usage(7)
    assert (usage.first_token_s, usage.token_s, usage.completion_tokens) == (0.0, 0.0, 0)
