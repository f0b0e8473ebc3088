"""The settings of a chat reach the answer, stand in the address, and go back to the defaults."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some
from streamlit.testing.v1 import AppTest

from clients import Ragq
from clients.asking import Ask, AskOptions
from tests.ui.pages import opened, query, shown, until
from ui.wishes import address_of, differing, wishes_of

live_page = pytest.mark.usefixtures("page_config")
ABSENT = "Which zebra won yesterday's marathon?"


def asked(app: AppTest, question: str) -> AppTest:
    app.chat_input[0].set_value(question).run()
    return until(app, lambda app: not app.chat_input[0].disabled)


@live_page
@pytest.mark.mesh
def test_words_of_ones_own_are_said_where_there_is_no_answer(mesh: Ragq) -> None:
    app = opened()
    app.text_area(key="wish-0-absent").set_value("Please call the desk.").run()
    assert not app.exception
    asked(app, ABSENT)
    assert "Please call the desk." in shown(app)
    (turn,) = mesh.index.chat(query(app, "chat"))
    assert turn.answer == "Please call the desk."


@live_page
@pytest.mark.mesh
def test_settings_reach_the_search_and_survive_a_reload(mesh: Ragq) -> None:
    app = opened()
    app.slider(key="wish-0-top_k").set_value(1).run()
    app.slider(key="wish-0-thresholds").set_value((0.0, 0.0)).run()
    again = opened(ask=query(app, "ask"))
    assert again.slider(key="wish-0-top_k").value == 1
    asked(again, ABSENT)
    (turn,) = mesh.index.chat(query(again, "chat"))
    decision = turn.detail["decision"]
    assert isinstance(decision, dict)
    assert (decision["route"], decision["threshold"], len(decision["candidates"])) == ("answer", 0.0, 1)


@live_page
@pytest.mark.mesh
def test_the_defaults_come_back_with_one_click(mesh: Ragq) -> None:
    app = opened()
    app.toggle(key="wish-0-anyway").set_value(True).run()
    assert query(app, "ask") == '{"anyway":true}'
    app.button(key="wishes-reset").click().run()
    assert not app.exception
    assert query(app, "ask") == ""
    assert not app.toggle(key="wish-1-anyway").value


@given(some.builds(AskOptions, rounds=some.none() | some.integers(0, 20), absent=some.none() | some.text(max_size=50),
                   threshold=some.none() | some.floats(0, 1), anyway=some.none() | some.booleans()))  # fmt: skip
def test_an_address_gives_the_wishes_back(wishes: AskOptions) -> None:
    assert wishes_of(address_of(wishes)) == wishes


@pytest.mark.parametrize("address", ["", "{", "[]", '{"threshold": "high"}', '{"color": 1}', "1" * 5000, "[" * 3000])
def test_an_address_that_means_nothing_gives_no_wishes(address: str) -> None:
    assert wishes_of(address) == AskOptions()


def test_only_what_differs_is_wished_and_thresholds_go_together() -> None:
    settings = Ask()
    same = AskOptions(answer="auto", top_k=settings.top_k, threshold=settings.threshold, absent="", temperature=0.0)
    assert differing(settings, same) == AskOptions()
    moved = AskOptions(top_k=20, threshold=0.7, threshold_low=settings.threshold_low)
    assert differing(settings, moved) == AskOptions(top_k=20, threshold=0.7, threshold_low=settings.threshold_low)
