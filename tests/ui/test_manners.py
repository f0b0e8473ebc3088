"""A chat opens with words of ones own, and shows where answers come from, or not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some
from streamlit.testing.v1 import AppTest

from clients import Ragq
from clients.asking import Ask
from tests.ui.pages import opened, query, shown, until
from tests.ui.test_wishes import ABSENT, asked
from ui.labels import LANGUAGES, Labels, Language
from ui.manners import Manners, Opening, address_of, differing, manners_of, opening
from ui.prose import Block, Span
from ui.views.bare import bare
from ui.views.chat import Said, Source
from ui.views.passage import Target

live_page = pytest.mark.usefixtures("page_config")
QUESTION = "Does ragq need a graphics card?"
HELLO = f"Welcome to the desk.\n[{QUESTION}]"


def labels_of(app: AppTest) -> list[str]:
    return [button.label.replace("\\", "") for button in app.button]


@live_page
@pytest.mark.mesh
@pytest.mark.parametrize("language", LANGUAGES)
def test_opening_words_stand_above_the_chat_and_their_questions_can_be_clicked(mesh: Ragq, language: Language) -> None:
    words = Labels(language)
    app = opened(language=language)
    assert words("chat.greeting") in shown(app)
    app.text_area(key="wish-0-opener").set_value(HELLO).run()
    assert not app.exception
    assert words("chat.greeting") not in shown(app)
    assert "Welcome to the desk." in [text.value for text in app.text]
    again = opened(language=language, look=query(app, "look"))
    assert "Welcome to the desk." in [text.value for text in again.text]
    again.button(key="open-0").click().run()
    until(again, lambda app: not app.chat_input[0].disabled)
    (turn,) = mesh.index.chat(query(again, "chat"))
    assert turn.question == QUESTION
    assert "Welcome to the desk." in [text.value for text in again.text], "it stays above the first round"
    assert QUESTION not in labels_of(again)


@live_page
@pytest.mark.mesh
def test_without_sources_an_answer_is_its_words(mesh: Ragq) -> None:
    app = opened()
    asked(app, QUESTION)
    assert [expander.label for expander in app.expander] == ["Why this answer"]
    app.toggle(key="wish-0-show_sources").set_value(False).run()
    assert not app.exception
    assert [expander.label for expander in app.expander] == []
    assert query(app, "look") == '{"show_sources":false}'
    asked(app, ABSENT)
    assert [expander.label for expander in app.expander] == []
    app.toggle(key="wish-0-show_sources").set_value(True).run()
    assert [expander.label for expander in app.expander] == ["Why this answer"] * 2


@live_page
@pytest.mark.mesh
def test_the_defaults_of_the_page_come_back_with_the_others(mesh: Ragq) -> None:
    app = opened(look=json.dumps({"opener": "Hello.", "show_sources": False}))
    assert not app.toggle(key="wish-0-show_sources").value
    app.button(key="wishes-reset").click().run()
    assert not app.exception
    assert query(app, "look") == ""
    assert app.toggle(key="wish-1-show_sources").value
    assert app.text_area(key="wish-1-opener").value == ""


@given(some.builds(Manners, some.none() | some.text(max_size=50), some.none() | some.booleans()))
def test_an_address_gives_the_manners_back(manners: Manners) -> None:
    assert manners_of(address_of(manners)) == manners


@pytest.mark.parametrize("address", ["", "{", "[]", '{"opener": 3}', '{"color": 1}', "1" * 5000, "[" * 3000])
def test_an_address_that_means_nothing_gives_no_manners(address: str) -> None:
    assert manners_of(address) == Manners()


def test_what_ragq_yml_says_holds_unless_a_visitor_wants_it_otherwise() -> None:
    settings = Ask(opener="Hello.", show_sources=False)
    assert Manners().opening(settings) == Opening("Hello.")
    assert Manners(opener="").opening(settings) == Opening("")
    assert not Manners().shows_sources(settings)
    assert Manners(show_sources=True).shows_sources(settings)
    assert differing(settings, Manners("Hello.", show_sources=True)) == Manners(show_sources=True)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", Opening("")),
        ("Hello.\n\nAsk [anything].", Opening("Hello.\n\nAsk [anything].")),
        ("Hello.\n [Why?] \n[Where?]\n[Why?]", Opening("Hello.", ("Why?", "Where?"))),
        ("[Only this?]", Opening("", ("Only this?",))),
        ("[]", Opening("[]")),
    ],
)
def test_lines_in_brackets_are_questions(text: str, found: Opening) -> None:
    assert opening(text) == found


def test_an_answer_without_sources_keeps_its_words_and_their_looks() -> None:
    target = Target("c1", "d1", "faq.md", "text")
    quote = Block([Span("It needs ", "plain"), Span("none", "strong"), Span(" "), Span("1", "chip", 0)], "quote")
    cite = Block([Span("faq.md", "link", 0), Span(" · p. 3", "quiet")], "cite")
    chip = Block([Span("1", "chip", 0)])
    said = Said([quote, cite, chip], [target], "quoted", [Source("1 · faq.md", target)], "Quoted")
    words = Block([Span("It needs "), Span("none", "strong")], "quote")
    assert bare(said) == Said([words], [], "quoted", [], "Quoted")
