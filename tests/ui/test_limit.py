"""Questions and tries can be limited to some documents of the knowledge base, in both languages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

from clients import Ragq
from clients.asking import AskOptions
from clients.within import Within
from tests.ui.pages import WAIT_S, opened, query, shown
from tests.ui.test_retrieval import QUESTION, searched
from tests.ui.test_wishes import asked
from ui.labels import LANGUAGES, Labels, Language
from ui.trials import Trial, trial_of
from ui.wishes import address_of, wishes_of

pytestmark = [pytest.mark.mesh, pytest.mark.usefixtures("page_config")]
CHAT, TRIAL = "wish-0-within-handbook", "trial-in-handbook"


@pytest.fixture
def other(mesh: Ragq) -> Iterator[str]:
    mesh.index.create_collection("elsewhere")
    mesh.index.add("elsewhere", files={"notes.txt": b"Ragq needs no graphics card."}).wait(WAIT_S)
    yield "elsewhere"
    mesh.index.delete_collection("elsewhere")


def limited(app: AppTest, key: str, names: list[str]) -> AppTest:
    app.multiselect(key=key).set_value(names).run()
    assert not app.exception
    return app


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_question_is_asked_of_the_chosen_documents_only(mesh: Ragq, language: Language) -> None:
    words = Labels(language)
    app = opened("chat", language)
    assert app.multiselect(key=CHAT).options == ["faq.md", "quick-start.md"]
    limited(app, CHAT, ["quick-start.md"])
    assert wishes_of(query(app, "ask")) == AskOptions(within=Within(["quick-start.md"]))
    asked(app, QUESTION)
    (turn,) = mesh.index.chat(query(app, "chat"))
    hits, answer = turn.detail["hits"], turn.detail["answer"]
    assert isinstance(hits, list)
    assert {hit["document"] for hit in hits} == {"quick-start.md"}
    assert isinstance(answer, dict)
    assert answer["within"]["documents"] == ["quick-start.md"]
    is_absent = answer["kind"] == "none"
    said = words("chat.absent_limited") if is_absent else words("chat.limited", documents="'quick-start.md'")
    assert said in shown(app).replace("\\", "")
    assert words("chat.absent") not in shown(app)


def test_the_choice_survives_a_reload_and_ends_with_the_knowledge_base(mesh: Ragq, other: str) -> None:
    app = limited(opened(), CHAT, ["faq.md", "quick-start.md"])
    again = opened(ask=query(app, "ask"), collection="handbook")
    assert again.multiselect(key=CHAT).value == ["faq.md", "quick-start.md"]
    again.selectbox(key="picked").set_value(other).run()
    assert not again.exception
    assert again.multiselect(key=f"wish-0-within-{other}").value == []
    assert query(again, "ask") == ""


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_try_finds_in_the_chosen_documents_only_and_an_address_keeps_them(mesh: Ragq, language: Language) -> None:
    app = limited(searched(language=language), TRIAL, ["quick-start.md"])
    seen = [str(button.key) for button in app.button if str(button.key).startswith("see-")]
    assert seen
    assert all("quick-start.md" in app.button(key=key).label.replace("\\", "") for key in seen)
    assert query(app, "in") == "quick-start.md"
    again = opened("retrieval", language, q=QUESTION, **{"in": "*.md\ngone.pdf"})
    assert again.multiselect(key=TRIAL).value == ["*.md", "gone.pdf"]
    note = {"en": "the collection has no document 'gone.pdf'", "zh": "知识库里没有文档 'gone.pdf'"}
    assert note[language] in shown(again).replace("\\", "")


def test_an_address_holds_names_as_they_are() -> None:
    trial = Trial("why?", within=("a b.pdf", "报告*", "x,y.md"))
    assert trial_of(trial.address(), 8).within == trial.within
    wishes = AskOptions(within=Within(["报告*"], ["example.org"]))
    assert wishes_of(address_of(wishes)) == wishes
