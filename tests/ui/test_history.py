"""What was tried on a knowledge base can be tried again with one click, is forgotten on demand, or never kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

from clients import Ragq
from tests.ui.pages import opened, query
from tests.ui.test_retrieval import QUESTION, searched
from ui.labels import LANGUAGES, Labels, Language

pytestmark = [pytest.mark.mesh, pytest.mark.usefixtures("page_config")]
OTHER = "Where is the page?"


@pytest.fixture(autouse=True)
def nothing_before(mesh: Ragq) -> Iterator[None]:
    mesh.index.forget_searches("handbook")
    yield
    mesh.index.forget_searches("handbook")


def kept(mesh: Ragq) -> list[str]:
    return [search.text for search in mesh.index.past_searches("handbook").searches]


def past(app: AppTest) -> list[str]:
    return [button.label.replace("\\", "") for button in app.button if str(button.key).startswith("past-")]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_click_tries_a_question_again(mesh: Ragq, language: Language) -> None:
    app = searched(f"{QUESTION}\n{OTHER}", language)
    assert kept(mesh) == [OTHER, QUESTION]
    fresh = opened("retrieval", language)
    assert past(fresh) == [OTHER, QUESTION]
    assert Labels(language)("history.forget") in [button.label for button in fresh.button]
    fresh.button(key="past-1").click().run()
    assert not fresh.exception
    assert [s.value.replace("\\", "") for s in fresh.subheader] == [QUESTION]
    assert fresh.text_area(key="trial-text").value == QUESTION
    assert past(fresh) == [QUESTION, OTHER]
    assert [search.num_times for search in mesh.index.past_searches("handbook").searches] == [2, 1]
    assert past(app.run()) == [QUESTION, OTHER]


def test_a_reload_or_a_shared_address_is_not_another_try(mesh: Ragq) -> None:
    app = searched()
    opened("retrieval", q=query(app, "q"))
    assert [search.num_times for search in mesh.index.past_searches("handbook").searches] == [1]


def test_who_wants_to_leave_no_trace_leaves_none_and_may_forget_all(mesh: Ragq) -> None:
    app = searched()
    app.toggle(key="history-keep").set_value(False).run()
    app.text_area(key="trial-text").set_value(OTHER).run()
    app.button(key="try").click().run()
    assert kept(mesh) == [QUESTION]
    again = opened("retrieval", history=query(app, "history"))
    assert not again.toggle(key="history-keep").value
    again.button(key="past-0").click().run()
    assert [search.num_times for search in mesh.index.past_searches("handbook").searches] == [1]
    again.button(key="history-forget").click().run()
    assert not again.exception
    assert (kept(mesh), past(again)) == ([], [])
    again.toggle(key="history-keep").set_value(True).run()
    assert query(again, "history") == ""
