"""When does a search suffice for an answer?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.decision import WEIGHTS, Gate, Signals, confidence, decide, read_signals
from clients.index import Hit, Hits, HitScore
from clients.llm import Sentence

EN, ZH = "The back port is where workers connect.", "工作进程连接后端口。"
SHARE = st.floats(0, 1)
SIMILARITIES = st.lists(st.floats(0, 0.99), min_size=5, max_size=8)


def found(
    similarities: list[float], coverage: float = 0.8, text: str = EN, kind: HitScore = "fused", name: str = "rerank"
) -> Hits:
    hits = [
        Hit(str(i), "d", "ports.pdf", text, -float(i), kind, scores={name: value})
        for i, value in enumerate(similarities)
    ]
    return Hits(hits, coverage=coverage)


def best(score: float) -> list[Sentence]:
    return [Sentence(0, 0, 5, "The b", score), Sentence(1, 0, 5, "The b", score / 2)]


STANDS_OUT = [0.9, *[0.78] * 7]
ALL_ALIKE = [0.77, *[0.76] * 7]


def test_a_passage_that_stands_out_and_shares_the_words_is_answered():
    decision = decide(found(STANDS_OUT), best(0.6), Gate(0.5, 0.0))
    assert decision.route == "answer"
    assert decision.confidence > 0.9
    assert "80% of the question's informative words" in decision.reason


def test_passages_that_are_all_alike_are_not_enough_and_the_reason_says_what_is_missing():
    decision = decide(found(ALL_ALIKE, coverage=0.1), best(0.3), Gate(0.5, 0.0))
    assert decision.route == "absent"
    assert decision.confidence < 0.5
    assert "10% of the question's informative words" in decision.reason
    assert "where 0.50 is needed" in decision.reason


def test_nothing_found_is_absent_whatever_the_threshold():
    decision = decide(Hits([]), [], Gate(0.0, 0.0))
    assert (decision.route, decision.confidence) == ("absent", 0.0)
    assert "nothing" in decision.reason


def test_the_second_search_gives_the_fallback_route():
    assert decide(found(STANDS_OUT), best(0.6), Gate(0.5, 0.0), is_second=True).route == "fallback"
    assert decide(found(ALL_ALIKE, coverage=0.1), best(0.2), Gate(0.5, 0.0), is_second=True).route == "absent"


def test_a_threshold_of_zero_always_answers_and_one_of_one_never_does():
    assert decide(found(ALL_ALIKE, coverage=0.0), best(0.1), Gate(0.0, 0.0)).route == "answer"
    assert decide(found(STANDS_OUT, coverage=1.0), best(0.9), Gate(1.0, 0.0)).route == "absent"


def test_a_question_in_another_script_is_judged_by_how_far_the_best_passage_stands_out():
    asked = "工作进程连接到哪个端口？"
    assert decide(found(STANDS_OUT, coverage=0.0), best(0.15), Gate(0.5, 0.0), question=asked).route == "answer"
    assert decide(found(ALL_ALIKE, coverage=0.0), best(0.15), Gate(0.5, 0.0), question=asked).route == "absent"


def test_words_that_both_scripts_share_make_it_an_ordinary_question():
    assert read_signals(found(STANDS_OUT, coverage=0.9), best(0.6), "ragq 是什么？").situation == "ranked"
    assert read_signals(found(STANDS_OUT, coverage=0.1, text=ZH), best(0.6), "端口是多少？").situation == "ranked"


@pytest.mark.parametrize("num_hits", [1, 4])
def test_a_collection_of_few_passages_is_judged_without_comparing_them(num_hits):
    signals = read_signals(found([0.9] * num_hits), best(0.6))
    assert (signals.situation, signals.lift) == ("plain", 0.0)
    assert decide(found([0.9] * num_hits), best(0.6), Gate(0.5, 0.0)).route == "answer"
    assert decide(found([0.9] * num_hits, coverage=0.1), best(0.2), Gate(0.5, 0.0)).route == "absent"


def test_without_a_reranker_words_and_the_best_sentence_decide():
    assert read_signals(found([0.9] * 8, name="dense"), best(0.6)).situation == "plain"


def test_probabilities_of_a_cross_encoder_are_not_taken_for_similarities():
    assert read_signals(found(STANDS_OUT, kind="probability"), best(0.6)).situation == "plain"


@given(SIMILARITIES, SHARE, SHARE)
def test_confidence_is_between_zero_and_one(similarities, coverage, sentence):
    assert 0.0 <= confidence(found(similarities, coverage), best(sentence)) <= 1.0


@given(SIMILARITIES, SHARE, SHARE, st.floats(0.05, 1))
def test_a_better_sentence_never_lowers_the_confidence(similarities, coverage, sentence, more):
    hits = found(similarities, coverage)
    assert confidence(hits, best(sentence + more)) >= confidence(hits, best(sentence))


@given(SIMILARITIES, st.floats(0.05, 1))
def test_lift_does_not_depend_on_how_close_together_a_model_puts_texts(similarities, stretch):
    closer = [1 - stretch * (1 - value) for value in similarities]
    assert read_signals(found(closer), best(0.5)).lift == pytest.approx(
        read_signals(found(similarities), best(0.5)).lift, abs=1e-6
    )


@pytest.mark.parametrize("situation", WEIGHTS)
def test_every_weight_that_is_used_speaks_for_an_answer(situation):
    weights = WEIGHTS[situation]
    assert min(weights.coverage, weights.sentence, weights.lift) >= 0
    assert weights.bias < 0


# Medians of the answerable and the foreign questions that benchmarks/decision.py asked.
MEDIANS = [
    (Signals("ranked", 0.69, 0.56, 0.35), Signals("ranked", 0.2, 0.27, 0.07)),
    (Signals("plain", 0.48, 0.59, 0.0), Signals("plain", 0.0, 0.13, 0.0)),
    (Signals("across", 0.0, 0.2, 0.12), Signals("across", 0.0, 0.14, 0.04)),
]


@pytest.mark.parametrize(("answerable", "foreign"), MEDIANS, ids=[a.situation for a, _ in MEDIANS])
def test_typical_signals_fall_on_the_right_side(answerable, foreign):
    weights = WEIGHTS[answerable.situation]
    assert weights.confidence(answerable) > 0.8
    assert weights.confidence(foreign) < 0.5
