"""Ask, and see where the answer comes from."""

from __future__ import annotations

from functools import partial

import streamlit as st

from clients.index import Collection
from ui import session
from ui.desk import new_chat_id
from ui.exchanges import Exchange
from ui.labels import Labels
from ui.manners import Opening
from ui.parts.banner import failure
from ui.parts.chats import chats
from ui.parts.drawer import drawer
from ui.parts.feedback import feedback
from ui.parts.prose import prose
from ui.prose import escaped, shortened
from ui.questions import SUGGESTIONS
from ui.runs import Run
from ui.views import chat as view
from ui.views.bare import bare
from ui.views.collections import SAMPLE, title_of
from ui.views.decision import absent_reason
from ui.views.passage import Target

EVERY_S = 0.25
PULL = "ragq models pull better"
CONNECT = """llm:
  generate:
    name: qwen2.5-coder-0.5b-instruct
"""
UP = "ragq up"


def page() -> None:
    """The chat of this tab: earlier rounds, the answer under way, and the input."""
    words, tab = session.labels(), session.tab()
    collection = session.collection()
    run = session.desk().current(tab.chat_id)
    exchanges = session.desk().exchanges(tab.chat_id)
    chats(words)
    opening = tab.manners.opening(session.desk().mesh.config.ask)
    if opening.text:
        with _answer_bubble():
            st.text(opening.text)
    if not exchanges and run is None:
        _greeting(collection, opening, words)
    for i, exchange in enumerate(exchanges):
        _question(exchange)
        with _answer_bubble():
            _answer(exchange, f"{tab.chat_id}-{i}", words)
    if run is not None:
        _question(run.exchange)
        with _answer_bubble():
            _under_way(run, words)
    _input(collection, words, is_busy=run is not None and not run.is_over)
    drawer()


# -- before the first question -----------------------------------------------------------------------


def _greeting(collection: Collection | None, opening: Opening, words: Labels) -> None:
    if collection is None:
        _teach(words("chat.no_collection"), words("chat.no_collection_text"), words)
    elif not collection.num_documents:
        _teach(words("chat.empty", title=title_of(collection)), words("chat.empty_text"), words)
    else:
        if not opening.text:
            st.header(words("chat.greeting"), anchor=False)
        about = words(
            "chat.about", title=title_of(collection), documents=collection.num_documents, chunks=collection.num_chunks
        )
        st.caption(escaped(f"{about} {words('chat.numbers')}" if _shows_sources() else about))
        for i, question in enumerate(opening.questions):
            ask = session.on_click(partial(_ask, question, collection.name))
            st.button(escaped(question), key=f"open-{i}", icon=":material/chat_bubble:", on_click=ask)
        if not opening.questions:
            _suggestions(collection, words)


def _teach(title: str, text: str, words: Labels) -> None:
    st.header(escaped(title), anchor=False)
    st.text(text)
    if st.button(words("chat.add"), icon=":material/add:", type="primary"):
        st.switch_page("screens/ingest.py")


def _suggestions(collection: Collection, words: Labels) -> None:
    if collection.name != SAMPLE:
        return
    st.space("small")
    st.caption(words("chat.suggested"))
    columns = [*st.columns(2), *st.columns(2)]
    for i, suggestion in enumerate(SUGGESTIONS[words.language]):
        with columns[i].container(border=True, height="stretch", key=f"try-{i}"):
            st.caption(words(f"chat.suggest_{suggestion.kind}"))
            ask = session.on_click(partial(_ask, suggestion.text, collection.name))
            st.button(escaped(suggestion.text), key=f"suggest-{i}", type="tertiary", on_click=ask)


# -- asking ------------------------------------------------------------------------------------------


def _input(collection: Collection | None, words: Labels, *, is_busy: bool) -> None:
    hint = words("chat.input", title=title_of(collection)) if collection else words("chat.input_none")
    if is_busy:
        hint = words("chat.input_busy")
    elif not session.is_ready("llm"):
        hint = words("chat.input_waiting")
    is_open = collection is not None and not is_busy and session.is_ready("llm")
    st.chat_input(hint, key="question", disabled=not is_open, on_submit=session.on_click(_asked))


def _asked() -> None:
    collection = session.collection()
    question = str(st.session_state["question"]).strip()
    if collection is not None and question:
        _ask(question, collection.name)


def _ask(question: str, collection: str) -> None:
    tab = session.tab()
    chat_id = tab.chat_id or new_chat_id()
    session.desk().ask(chat_id, collection, question, tab.wishes)
    tab.chat_id = chat_id


def _under_way(run: Run, words: Labels) -> None:
    # An answer that is stored while this page is drawn is drawn by the next run only: buttons drawn here would have
    # other keys than there, and a click in between would be lost.
    if not run.has_failed:
        st.fragment(_follow, run_every=EVERY_S)(run.chat_id)
    elif run.error is not None:
        failure(run.error, words)
        again = session.on_click(partial(_ask, run.question, run.exchange.collection))
        st.button(words("chat.again"), icon=":material/replay:", on_click=again)
    else:
        _answer(run.exchange, f"{run.chat_id}-now", words)
        st.warning(escaped(words("chat.unsaved", message=run.save_error.message if run.save_error else "")))
        save = session.on_click(partial(session.desk().runs.keep, run))
        st.button(words("chat.save"), icon=":material/save:", on_click=save)


def _follow(chat_id: str) -> None:
    """The answer as it grows; the process holds it, so leaving the page does not end it."""
    words, runs = session.labels(), session.desk().runs
    run = runs.of(chat_id)
    if run is None or run.is_over:
        st.rerun()
        return
    exchange = run.exchange
    if exchange.text:
        prose(_said(exchange, words).blocks, key=f"{chat_id}-growing", is_growing=True)
    else:
        st.caption(view.progress(exchange, words))
    st.button(words("chat.stop"), icon=":material/stop_circle:", key="stop", on_click=partial(runs.stop, chat_id))


# -- one round ---------------------------------------------------------------------------------------


def _question(exchange: Exchange) -> None:
    with st.chat_message("user", avatar=":material/person:"):
        st.text(exchange.question)


def _answer_bubble() -> st.delta_generator.DeltaGenerator:
    return st.chat_message("assistant", avatar=":material/auto_stories:")


def _shows_sources() -> bool:
    return session.tab().manners.shows_sources(session.desk().mesh.config.ask)


def _said(exchange: Exchange, words: Labels) -> view.Said:
    said = view.said(exchange, words)
    return said if _shows_sources() else bare(said)


def _answer(exchange: Exchange, key: str, words: Labels) -> None:
    said = _said(exchange, words)
    if said.how == "absent":
        _absent(exchange, said, key, words)
    else:
        _text(said, f"{key}-text")
        _sources(said, key)
        _footnote(said, key, words)
    feedback(exchange, key, words)
    if not _shows_sources():
        return
    with st.expander(words("why.title"), type="compact"):
        _text(view.why(exchange, words), f"{key}-why")


def _text(said: view.Said, key: str) -> None:
    """Show it; a number that was clicked just now opens its passage."""
    clicked = prose(said.blocks, key=key, hints=[target.document for target in said.targets])
    if clicked is not None and clicked < len(said.targets):
        session.tab().opened = said.targets[clicked]


def _sources(said: view.Said, key: str) -> None:
    with st.container(horizontal=True, gap="small"):
        for i, source in enumerate(said.sources):
            show = partial(_open, source.target)
            st.button(escaped(source.label), key=f"{key}-source-{i}", on_click=show, icon=":material/description:")


def _footnote(said: view.Said, key: str, words: Labels) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if said.footnote:
            st.caption(escaped(said.footnote), width="content")
        if said.how == "quoted":
            with st.popover(words("chat.connect"), type="tertiary", key=f"{key}-connect"):
                _connect(words)


def _connect(words: Labels) -> None:
    st.text(words("chat.connect_text"))
    st.code(PULL, language="bash")
    st.text(words("chat.connect_config"))
    st.code(CONNECT, language="yaml")
    st.text(words("chat.connect_then"))
    st.code(UP, language="bash")


def _absent(exchange: Exchange, said: view.Said, key: str, words: Labels) -> None:
    with st.container(border=True):
        is_limited = exchange.answer is not None and exchange.answer.within is not None
        absent = words("chat.absent_limited" if is_limited else "chat.absent")
        st.markdown(f":material/search_off: **{absent}**")
        if exchange.decision:
            own = session.tab().wishes.absent or session.desk().mesh.config.ask.absent
            is_own = bool(own) and exchange.text == own
            st.text(own if is_own else absent_reason(exchange.decision, exchange.hits, words))
        if said.targets:
            show = partial(_open, said.targets[0])
            label = words("chat.closest", document=shortened(said.targets[0].document, view.MAX_NAME_CHARS))
            st.button(escaped(label), key=f"{key}-closest", on_click=show, icon=":material/menu_book:")


def _open(target: Target) -> None:
    session.tab().opened = target


page()
