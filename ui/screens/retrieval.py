"""Try the search: what each way finds for a question, and what would be decided."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import streamlit as st

from clients.decision import Gate
from clients.errors import RagqError
from clients.index import Collection
from clients.ways import WAYS, Way
from ui import session
from ui.labels import Labels
from ui.parts.banner import banner
from ui.parts.drawer import drawer
from ui.parts.history import history, keep
from ui.parts.limit import limit
from ui.parts.marking import Marking, chosen, listed
from ui.prose import escaped
from ui.trials import MAX_CHARS, MAX_QUESTIONS, MAX_TOP_K, Trial, moved, trial_of
from ui.views import retrieval as view
from ui.views.collections import title_of
from ui.views.health import Banner
from ui.views.passage import Target

NAMES = ("q", "ways", "k", "t", "one", "set", "in")


def page() -> None:
    """Questions and settings, then for each question the decision and what every way found."""
    st.set_page_config(layout="wide")
    words = session.labels()
    st.header(words("retrieval.title"), anchor=False)
    collection = session.collection()
    if collection is None or not collection.num_documents:
        _teach(collection, words)
        return
    st.caption(escaped(words("retrieval.about", title=title_of(collection))))
    _ask(collection, words)
    gate = session.finds().gate(session.desk().mesh, collection.name)
    if isinstance(gate, RagqError):
        _failed(gate, words)
    marking = _settings(collection, None if isinstance(gate, RagqError) else gate[0], words)
    session.write_url(**_trial().address())
    for i, question in enumerate(_trial().questions):
        with st.container(border=True, key=f"tried-{i}"):
            st.subheader(escaped(question), anchor=False)
            if not isinstance(gate, RagqError):
                _verdict(collection.name, question, *gate, words)
            if marking is not None:
                marking.head(question, str(i), words)
            _columns(_Asked(collection.name, i, question, marking), words)
    if marking is not None:
        listed(marking, words)
    drawer()


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question with its number on the page, and where marks on its hits go; None when they cannot be kept."""

    collection: str
    number: int
    question: str
    marking: Marking | None


def _trial() -> Trial:
    """What this tab tries; from the address at first."""
    tab = session.tab()
    if tab.trial is None:
        address = {name: st.query_params.get(name, "") for name in NAMES}
        tab.trial = trial_of(address, session.desk().mesh.config.ask.top_k)
    return tab.trial


def _change(**values: Any) -> None:
    session.tab().trial = replace(_trial(), **values)


def _teach(collection: Collection | None, words: Labels) -> None:
    none = words("chat.no_collection_text") if collection is None else words("chat.empty", title=title_of(collection))
    st.text(none)
    if st.button(words("chat.add"), icon=":material/add:", type="primary", key="add-first"):
        st.switch_page("screens/ingest.py")


# -- what to try -------------------------------------------------------------------------------------


def _ask(collection: Collection, words: Labels) -> None:
    text = st.text_area(
        words("retrieval.questions"), _trial().text, key=session.QUESTIONS, height=100, max_chars=MAX_CHARS,
        help=words("retrieval.questions_help", count=MAX_QUESTIONS),
    )  # fmt: skip
    with st.container(horizontal=True):
        if st.button(words("retrieval.search"), type="primary", icon=":material/search:", key="try"):
            session.finds().forget()
            _change(text=text or "")
            keep(collection.name, _trial().questions)
        history(collection, words)


def _settings(collection: Collection, gate: Gate | None, words: Labels) -> Marking | None:
    trial = _trial()
    ways = st.pills(
        words("retrieval.ways"), WAYS, selection_mode="multi", default=trial.ways, key="trial-ways",
        format_func=lambda way: view.name_of(way, words),
    )  # fmt: skip
    left, middle, right = st.columns([3, 1, 2], gap="medium")
    with left:
        is_single = st.toggle(words("retrieval.single"), trial.is_single, key="trial-single")
        within = tuple(limit(collection.name, trial.within, "trial-in", words))
    top_k = middle.slider(words("retrieval.top_k"), 1, MAX_TOP_K, trial.top_k, key="trial-top-k")
    _change(ways=tuple(way for way in WAYS if way in ways), top_k=top_k, is_single=is_single, within=within)
    with right:
        if gate is not None:
            _thresholds(collection, gate, words)
        marking = chosen(collection, _trial().testset, words)
    if marking is not None and marking.questions():
        _change(testset=marking.name)
    if not ways:
        st.info(words("retrieval.none_chosen"), icon=":material/info:")
    return marking


def _thresholds(collection: Collection, gate: Gate, words: Labels) -> None:
    here = moved(gate, _trial())
    own = round(gate.low, 2), round(gate.high, 2)
    low, high = st.slider(
        words("retrieval.thresholds"), 0.0, 1.0, (round(here.low, 2), round(here.high, 2)), 0.01,
        key=f"trial-thresholds-{collection.name}",
        help=words("retrieval.thresholds_help", low=f"{gate.low:.2f}", high=f"{gate.high:.2f}"),
    )  # fmt: skip
    is_own = (low, high) == own
    _change(low=None if is_own else low, high=None if is_own else high)


# -- what came of it ---------------------------------------------------------------------------------


def _verdict(collection: str, question: str, gate: Gate, notes: list[str], words: Labels) -> None:
    with st.spinner(words("chat.searching")):
        mesh, trial = session.desk().mesh, _trial()
        judged = session.finds().judged(mesh, collection, question, moved(gate, trial), notes, trial.within)
    if isinstance(judged, RagqError):
        _failed(judged, words)
        return
    shown = view.verdict(judged, words)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(shown.route, color=shown.color)
        st.caption(escaped(shown.why), width="content")
    st.caption(escaped(words("why.timings") + shown.stages))
    _notes(shown.notes)


def _columns(asked: _Asked, words: Labels) -> None:
    ways = _trial().ways
    if _trial().is_single and ways:
        for tab, way in zip(st.tabs([view.name_of(way, words) for way in ways]), ways, strict=True):
            with tab:
                _found(asked, way, words)
        return
    for column, way in zip(st.columns(len(ways), gap="small") if ways else [], ways, strict=True):
        with column:
            st.markdown(f"**{escaped(view.name_of(way, words))}**")
            _found(asked, way, words)


def _found(asked: _Asked, way: Way, words: Labels) -> None:
    index = session.desk().mesh.index
    with st.spinner(words("chat.searching")):
        found = session.finds().hits(index, asked.collection, asked.question, way, _trial())
    if isinstance(found, RagqError):
        _failed(found, words)
        return
    column = view.column(found, words, is_narrow=not _trial().is_single and len(_trial().ways) > 1)
    st.caption(_lines(column.cost, column.stages))
    _notes(column.notes)
    if not column.rows:
        st.text(words("retrieval.nothing"))
    for row, hit in zip(column.rows, found.hits, strict=True):
        key = f"{asked.number}-{way}-{row.rank}"
        with st.container(border=True, gap="small", key=f"hit-{key}"):
            _row(row, key, words)
            if asked.marking is not None:
                asked.marking.buttons(asked.question, hit, key, words)


def _row(row: view.Row, key: str, words: Labels) -> None:
    st.button(
        escaped(f"{row.rank} · {row.document}"), key=f"see-{key}", type="tertiary", help=words("retrieval.open"),
        on_click=partial(_open, row.target),
    )  # fmt: skip
    if row.place:
        st.caption(escaped(row.place))
    st.text(row.text)
    st.caption(_lines(row.why, row.facts))


def _lines(*lines: str) -> str:
    """Lines of plain text below one another."""
    return "  \n".join(escaped(line) for line in lines if line)


def _open(target: Target) -> None:
    session.tab().opened = target


def _notes(notes: list[str]) -> None:
    for note in notes:
        st.caption(f":material/info: {escaped(note)}")


def _failed(error: RagqError, words: Labels) -> None:
    banner(Banner(words("banner.failed", message=error.message), error.help))


page()
