"""Questions that were tried before on a knowledge base: a click tries one again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from clients.errors import RagqError
from clients.index import Collection
from clients.searches import PastSearch
from ui import session, units
from ui.labels import Labels
from ui.parts.banner import failure
from ui.prose import escaped, shortened
from ui.views.collections import title_of

MAX_CHARS = 60
MAX_UNSCROLLED, HEIGHT = 8, 320


def keep(collection: str, questions: Sequence[str]) -> None:
    """Keep what is tried just now, unless this tab leaves no trace."""
    if session.tab().remembers and questions:
        with session.reported(session.labels()):
            session.desk().mesh.index.keep_searches(collection, questions)


def history(collection: Collection, words: Labels) -> None:
    """What was tried, the last first, folded away; it can be forgotten, and not kept at all."""
    with st.popover(words("history.title"), icon=":material/history:", key="history"):
        try:
            past = session.desk().mesh.index.past_searches(collection.name)
        except RagqError as error:
            failure(error, words)
            return
        if not past.is_kept:
            st.caption(escaped(words("history.off", setting="index.search_history: 0")))
            return
        st.caption(escaped(words("history.about", title=title_of(collection))))
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            session.tab().remembers = st.toggle(words("history.keep"), session.tab().remembers, key="history-keep")
            st.button(
                words("history.forget"), key="history-forget", type="tertiary", icon=":material/delete:",
                disabled=not past.searches, on_click=session.on_click(partial(_forget, collection.name)),
            )  # fmt: skip
        with st.container(gap=None, border=False, height=HEIGHT if len(past.searches) > MAX_UNSCROLLED else "content"):
            for i, search in enumerate(past.searches):
                _past(collection.name, search, i, words)


def _past(collection: str, search: PastSearch, number: int, words: Labels) -> None:
    when = words("history.when", count=search.num_times, time=units.day(search.searched_at))
    st.button(
        escaped(shortened(search.text, MAX_CHARS)), key=f"past-{number}", type="tertiary", help=escaped(when),
        on_click=session.on_click(partial(_again, collection, search.text)),
    )  # fmt: skip


def _again(collection: str, text: str) -> None:
    session.finds().forget()
    session.try_question(text)
    keep(collection, [text])


def _forget(collection: str) -> None:
    session.desk().mesh.index.forget_searches(collection)
