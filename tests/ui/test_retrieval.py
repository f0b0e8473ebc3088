"""The page of retrieval tests: every way side by side, what would be decided, and nothing lost by a reload."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from clients import Ragq
from clients.answers import Route
from clients.index import Hit, Hits
from clients.ways import WAYS, Way, read_way
from tests.conftest import LiveMesh
from tests.ui.pages import WAIT_S, opened, query, shown
from ui.labels import LANGUAGES, Labels, Language
from ui.trials import MAX_QUESTIONS, Trial, trial_of
from ui.views import hits as words_of
from ui.views import retrieval as view

QUESTION = "Does ragq need a graphics card?"
EN, ZH = Labels("en"), Labels("zh")
HIT = Hit(
    "c1", "d1", "faq.md", "Ragq needs no graphics card.", 2.5, "fused", scores={"dense": 0.8, "keyword": 3.2},
    ranks={"dense": 2, "keyword": 1}, num_copies=3,
)  # fmt: skip
live_page = pytest.mark.usefixtures("page_config")


def searched(text: str = QUESTION, language: Language = "en", **address: str) -> AppTest:
    app = opened("retrieval", language, **address)
    app.text_area(key="trial-text").set_value(text).run()
    app.button(key="try").click().run()
    assert not app.exception
    return app


def columns(app: AppTest) -> list[str]:
    """The names of the ways above their columns."""
    names = {view.name_of(way, EN) for way in WAYS}
    return [m.value.strip("*").replace("\\", "") for m in app.main.markdown if m.value.strip("*") in names]


@live_page
@pytest.mark.mesh
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_way_shows_its_hits_with_scores_ranks_and_times(mesh: Ragq, language: Language) -> None:
    words = Labels(language)
    app = searched(language=language)
    told = shown(app).replace("\\", "")
    for way in WAYS:
        assert view.name_of(way, words) in told
    (best, *_) = mesh.index.search("handbook", QUESTION, mode="keyword", rerank=False)
    assert told.count(best.text.splitlines()[-1]) >= 2
    assert words("hit.keyword", rank=1) in told
    assert words("retrieval.route.answer") in told
    assert words("why.stage.dense") in told
    assert words("why.stage.extract") in told


@live_page
@pytest.mark.mesh
def test_a_reload_finds_questions_ways_number_and_thresholds_again(mesh: Ragq) -> None:
    app = searched(f"{QUESTION}\n\nWho won the marathon?")
    app.slider(key="trial-top-k").set_value(1).run()
    app.pills(key="trial-ways").set_value([Way("keyword", rerank=False)]).run()
    app.slider(key="trial-thresholds-handbook").set_value((0.1, 0.9)).run()
    app.toggle(key="trial-single").set_value(True).run()
    assert not app.exception
    address = {name: query(app, name) for name in ("q", "ways", "k", "t", "one")}
    again = opened("retrieval", **address)
    assert [s.value.replace("\\", "") for s in again.subheader] == [QUESTION, "Who won the marathon?"]
    assert again.slider(key="trial-top-k").value == 1
    assert again.slider(key="trial-thresholds-handbook").value == (0.1, 0.9)
    assert again.toggle(key="trial-single").value
    assert [tab.label for tab in again.tabs] == ["Keywords", "Keywords"]
    assert again.text_area(key="trial-text").value == f"{QUESTION}\n\nWho won the marathon?"


@live_page
@pytest.mark.mesh
def test_what_was_tried_is_there_after_a_visit_to_another_page(mesh: Ragq) -> None:
    app = searched()
    app.switch_page("screens/ingest.py").run()
    app.switch_page("screens/retrieval.py").run()
    assert [s.value.replace("\\", "") for s in app.subheader] == [QUESTION]
    assert app.text_area(key="trial-text").value == QUESTION
    app.button(key="language").click().run()
    assert [s.value.replace("\\", "") for s in app.subheader] == [QUESTION]


@live_page
@pytest.mark.mesh
def test_moving_the_thresholds_moves_the_decision_and_searches_no_column_again(mesh: Ragq) -> None:
    app = searched()
    assert EN("retrieval.route.answer") in shown(app)
    before = dict(app.session_state["ragq"].finds._kept)
    app.slider(key="trial-thresholds-handbook").set_value((1.0, 1.0)).run()
    assert EN("retrieval.route.absent") in shown(app)
    kept = app.session_state["ragq"].finds._kept
    assert all(kept[key] is found for key, found in before.items())
    assert len(kept) == len(before) + 1


@live_page
@pytest.mark.mesh
def test_a_hit_opens_its_passage_in_the_drawer(mesh: Ragq) -> None:
    app = searched()
    app.button(key="see-0-keyword-1").click().run()
    assert not app.exception
    assert app.session_state["ragq"].opened.document == "faq.md"


@live_page
@pytest.mark.mesh
def test_a_way_that_fails_says_why_and_what_to_do_while_the_others_show_their_hits(mesh: Ragq, live: LiveMesh) -> None:
    mesh.index.create_collection("foreign", exist_ok=True)
    mesh.index.add("foreign", files={"notes.txt": b"Ragq needs no graphics card."}).wait(WAIT_S)
    with closing(sqlite3.connect(live.home / "index" / "records.sqlite")) as records, records:
        records.execute("UPDATE collections SET model = 'another-model' WHERE name = 'foreign'")
    app = searched(collection="foreign")
    assert any("another-model" in error.value.replace("\\", "") for error in app.error)
    assert all("  \n" in error.value for error in app.error), "the cure stands below"
    assert "Ragq needs no graphics card." in shown(app)


def test_the_words_of_a_hit_say_how_it_came_to_its_place() -> None:
    assert words_of.explained(HIT, EN) == "Found by meaning (#2) and words (#1)."
    reranked = replace(HIT, scores={**HIT.scores, "rerank": 0.9}, ranks={**HIT.ranks, "rerank": 4})
    assert words_of.explained(reranked, EN).endswith("; the reranker has it at #4.")
    unmatched = replace(HIT, scores={"dense": 0.8, "keyword": 0.0}, ranks={"dense": 1, "keyword": 9})
    assert words_of.explained(unmatched, ZH) == "语义第 1 名，不含问题中的词语。"
    assert words_of.explained(replace(HIT, scores={"dense": 0.8}), EN) == "Found by meaning (#2)."


def test_a_text_that_several_chunks_have_says_in_how_many() -> None:
    column = view.column(Hits([HIT, replace(HIT, num_copies=1)], {"dense": 0.012, "rerank": 0.1}), EN)
    assert column.rows[0].facts.endswith("in 3 chunks")
    assert "chunks" not in column.rows[1].facts
    assert column.cost == "2 found · 112 ms"
    assert column.stages == "vectors 12 ms · rerank 100 ms"


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_way_is_read_as_it_is_written(way: Way) -> None:
    assert read_way(str(way)) == way
    assert view.name_of(way, EN) != str(way)


@pytest.mark.parametrize(
    "trial",
    [
        Trial(),
        Trial("q1\nq2", (WAYS[1], WAYS[3]), 20, 0.2, 0.75, is_single=True),
        Trial("a & b = ?", (Way("dense"),), 1, 0.0, 1.0, testset="my set"),
    ],
    ids=["fresh", "all", "odd"],
)
def test_an_address_gives_the_trial_back(trial: Trial) -> None:
    assert trial_of(trial.address(), 8) == trial


@pytest.mark.parametrize("address", [{"k": "many", "t": "0.9 0.1", "ways": "psychic"}, {"k": "-3", "t": "nan 1"}, {}])
def test_an_address_that_means_nothing_gives_the_defaults(address: dict[str, str]) -> None:
    assert trial_of(address, 8) == Trial()


def test_a_trial_has_each_question_once_and_not_too_many() -> None:
    lines = [f"question {i // 2}" for i in range(60)]
    assert Trial("\n".join(["", *lines])).questions == [f"question {i}" for i in range(MAX_QUESTIONS)]


@pytest.mark.parametrize("route", ["answer", "fallback", "absent"])
def test_every_route_has_its_words(route: Route) -> None:
    assert EN(f"retrieval.route.{route}") != ZH(f"retrieval.route.{route}")
