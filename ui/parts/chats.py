"""The chats of before, at the side."""

from __future__ import annotations

from functools import partial

import streamlit as st

from clients.errors import RagqError
from clients.index import Chat
from ui import session
from ui.labels import Labels
from ui.parts.wishes import wishes
from ui.prose import escaped, shortened

MAX_CHATS = 15


def chats(words: Labels) -> None:
    """A button for a new chat, the settings, and the newest chats; a click goes on with one."""
    with st.sidebar:
        is_fresh = not session.tab().chat_id
        st.button(
            words("chat.new"),
            icon=":material/add_comment:",
            key="new-chat",
            on_click=_new,
            disabled=is_fresh,
            width="stretch",
        )
        wishes(words)
        try:
            found = session.desk().mesh.index.chats()[:MAX_CHATS]
        except RagqError:  # the page itself says that the Index service is away
            return
        if found:
            st.caption(words("chat.earlier"))
        with st.container(key="side-chats"):
            for chat in found:
                _chat(chat, words)


def _chat(chat: Chat, words: Labels) -> None:
    title = escaped(shortened(chat.title, 24))
    if chat.id == session.tab().chat_id:
        title = f"**{title}**"
    left, right = st.columns([6, 1], gap="small", vertical_alignment="center")
    left.button(
        title, key=f"chat-{chat.id}", type="tertiary", on_click=partial(_resume, chat), help=escaped(chat.title)
    )
    is_asked = right.button(
        "", key=f"forget-{chat.id}", type="tertiary", icon=":material/delete:", help=words("chat.delete")
    )
    if is_asked:
        st.dialog(words("chat.delete"))(_forget)(chat)


def _new() -> None:
    session.tab().chat_id = ""


def _resume(chat: Chat) -> None:
    session.tab().chat_id = chat.id
    session.choose(chat.collection)


def _forget(chat: Chat) -> None:
    words = session.labels()
    st.text(shortened(chat.title, 120))
    st.text(words("chat.delete_ask"))
    if st.button(words("documents.delete_yes"), type="primary", icon=":material/delete:", key="forget-for-good"):
        with session.reported(words):
            session.desk().mesh.index.delete_chat(chat.id)
        if session.tab().chat_id == chat.id:
            _new()
        st.rerun()
