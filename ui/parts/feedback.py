"""A person's word on an answer, which goes into the test set of its knowledge base."""

from __future__ import annotations

from functools import partial

import streamlit as st

from clients.testsets import Question
from ui import session
from ui.exchanges import Exchange
from ui.labels import Labels
from ui.marks import says_something, with_verdict
from ui.prose import escaped
from ui.views import marking as view


def feedback(exchange: Exchange, key: str, words: Labels) -> None:
    """Two thumbs; a press is kept at once."""
    if exchange.answer is None:
        return
    given = partial(_given, exchange, f"{key}-feedback", words)
    st.feedback("thumbs", key=f"{key}-feedback", on_change=session.on_click(given))


def _given(exchange: Exchange, key: str, words: Labels) -> None:
    thumb = st.session_state[key]
    collection = next((c for c in session.collections() if c.name == exchange.collection), None)
    if thumb is None or collection is None:
        return
    index = session.desk().mesh.index
    sets = [one for one in index.testsets() if one.collection == collection.name]
    name = view.names(sets, "", collection, words)[0]
    text = exchange.query or exchange.question
    known = index.questions(name) if sets else []
    held = next((one for one in known if one.text == text), Question(text))
    question = with_verdict(held, exchange, is_good=thumb == 1)
    if says_something(question):
        index.add_questions(name, [question], collection.name)
    elif held in known:
        index.delete_questions(name, [text])
    st.toast(escaped(words("marking.kept", name=name)), icon=":material/check:")
