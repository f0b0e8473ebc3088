"""Hits of a retrieval test are marked, and a test set is made of them that a reload does not lose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from clients import Ragq
from clients.calibration import Estimate
from clients.index import Hit
from clients.testsets import Question, Relevant, Run
from tests.ui.pages import opened, query, shown_everywhere, until
from ui.labels import LANGUAGES, Labels, Language
from ui.marks import mark_of, with_abstaining, with_mark
from ui.views import marking as view

QUESTION = "Does ragq need a graphics card?"
EN, ZH = Labels("en"), Labels("zh")
HIT = Hit("c1", "d1", "faq.md", "Ragq needs no graphics card.", 2.5, "fused", 10, 38)
OTHER = replace(HIT, chunk_id="c2", start=100, end=130, text="It runs on the processor.")
FIRST = "Questions on ragq handbook"
live_page = pytest.mark.usefixtures("page_config")


@pytest.fixture
def fresh(mesh: Ragq) -> Iterator[Ragq]:
    yield mesh
    for each in mesh.index.testsets():
        mesh.index.delete_testset(each.name)


def tried(language: Language = "en", **address: str) -> AppTest:
    return opened("retrieval", language, **{"q": QUESTION, "ways": "keyword", **address})


def click(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click().run()
    assert not app.exception
    return app


@live_page
@pytest.mark.mesh
def test_a_mark_is_kept_at_once_shown_after_a_reload_and_taken_back(fresh: Ragq) -> None:
    app = click(tried(), "right-0-keyword-1")
    (question,) = fresh.index.questions(FIRST)
    (said,) = question.relevant
    assert (question.text, said.document, said.grade) == (QUESTION, "faq.md", 1)
    assert (said.document_id, said.end > said.start) != ("", False)
    again = tried(set=query(app, "set"))
    assert "In “Questions on ragq handbook”: 1 right, 0 wrong" in shown_everywhere(again).replace("\\", "")
    click(again, "right-0-keyword-1")
    assert fresh.index.questions(FIRST) == []


@live_page
@pytest.mark.mesh
def test_wrong_replaces_right_and_nothing_answers_replaces_both(fresh: Ragq) -> None:
    app = click(tried(), "right-0-keyword-1")
    click(app, "wrong-0-keyword-1")
    assert [one.grade for one in fresh.index.questions(FIRST)[0].relevant] == [0]
    click(app, "absent-0")
    (question,) = fresh.index.questions(FIRST)
    assert question.must_abstain
    click(app, "absent-0")
    assert not fresh.index.questions(FIRST)[0].must_abstain


@live_page
@pytest.mark.mesh
def test_a_set_with_a_name_of_ones_own_gets_the_marks(fresh: Ragq) -> None:
    fresh.index.add_questions("mine", [Question("Which port?", must_abstain=True)], "handbook")
    app = tried(set="mine")
    click(app, "right-0-keyword-1")
    assert [one.text for one in fresh.index.questions("mine")] == ["Which port?", QUESTION]
    assert len(fresh.index.testsets()) == 1


@live_page
@pytest.mark.mesh
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_questions_of_a_set_are_tried_again_and_taken_out_and_its_runs_are_shown(
    fresh: Ragq, language: Language
) -> None:
    fresh.index.add_questions(
        "mine", [Question("Which port?", must_abstain=True), Question(QUESTION, answer="No.")], "handbook"
    )
    fresh.index.save_run(Run("mine", "hybrid", "0.1.0", "abc", 2, figures={"ndcg_at_10": Estimate(0.875, 0.8, 0.9)}))
    app = tried(language, set="mine")
    assert any("ragq eval --testset mine" in code.value for code in app.code)
    assert any("0\\.875" in caption.value for caption in app.caption)
    click(app, "retry-question-0")
    assert app.text_area(key="trial-text").value == "Which port?"
    assert app.subheader[0].value.replace("\\", "") == "Which port?"
    click(app, "drop-question-0")
    assert [one.text for one in fresh.index.questions("mine")] == [QUESTION]


@live_page
@pytest.mark.mesh
def test_a_thumb_on_an_answer_makes_a_question_of_the_test_set(fresh: Ragq) -> None:
    app = answered(QUESTION)
    key = f"{query(app, 'chat')}-0-feedback"
    app.feedback(key=key).set_value(1).run()
    assert not app.exception
    (kept,) = fresh.index.questions(FIRST)
    assert (kept.text, kept.relevant[0].document, kept.relevant[0].grade) == (QUESTION, "faq.md", 1)
    app.feedback(key=key).set_value(0).run()
    (kept,) = fresh.index.questions(FIRST)
    assert {one.grade for one in kept.relevant} == {0}


@live_page
@pytest.mark.mesh
def test_a_thumb_on_a_refusal_says_whether_it_was_right_to_refuse(fresh: Ragq) -> None:
    app = answered("Which zebra won yesterday's marathon?")
    key = f"{query(app, 'chat')}-0-feedback"
    app.feedback(key=key).set_value(1).run()
    assert [one.must_abstain for one in fresh.index.questions(FIRST)] == [True]
    app.feedback(key=key).set_value(0).run()
    assert not app.exception
    assert fresh.index.questions(FIRST) == []


def answered(question: str) -> AppTest:
    app = opened()
    app.chat_input[0].set_value(question).run()
    return until(app, lambda app: not app.chat_input[0].disabled)


def test_a_mark_is_read_back_from_the_question_it_was_put_into() -> None:
    empty = Question("?")
    right = with_mark(empty, HIT, "right")
    assert (mark_of(right, HIT), mark_of(right, OTHER), mark_of(None, HIT)) == ("right", "", "")
    both = with_mark(right, OTHER, "wrong")
    assert (mark_of(both, HIT), mark_of(both, OTHER)) == ("right", "wrong")
    assert mark_of(with_mark(both, HIT, "wrong"), HIT) == "wrong"
    assert with_mark(right, HIT, "right") == empty


def test_nothing_answers_and_something_answers_exclude_each_other() -> None:
    refused = with_abstaining(with_mark(with_mark(Question("?"), HIT, "right"), OTHER, "wrong"))
    assert refused.must_abstain
    assert [one.grade for one in refused.relevant] == [0]
    assert not with_mark(refused, HIT, "right").must_abstain
    assert with_mark(refused, HIT, "wrong").must_abstain
    assert not with_abstaining(refused).must_abstain


def test_a_question_of_the_set_says_what_the_set_has_of_it() -> None:
    marked = Question("?", [Relevant("a"), Relevant("b", grade=0), Relevant("c", grade=2)])
    assert view.told(marked, EN) == "2 right, 1 wrong"
    assert view.told(Question("?", must_abstain=True), ZH) == "资料里没有答案"
    assert view.command("my set") == "ragq eval --testset 'my set'"
