"""Knowledge bases: see them, make one, delete one, and look after the documents of the chosen one."""

from __future__ import annotations

from functools import partial

import streamlit as st

from clients.index import Collection, JobRecord
from ui import session
from ui.labels import Labels
from ui.parts import documents
from ui.parts.drawer import drawer
from ui.parts.reindexing import reindexing
from ui.prose import escaped
from ui.views import collections as view


def page() -> None:
    """Cards of all knowledge bases, then the documents of the chosen one."""
    words = session.labels()
    collections = session.collections()
    _head(collections, words)
    if not collections:
        st.info(words("collections.none"), icon=":material/library_add:")
    current = view.chosen(session.tab().collection, collections)
    jobs = session.desk().mesh.index.jobs()
    columns = st.columns(2)
    for i, collection in enumerate(collections):
        with columns[i % 2].container(border=True, key=f"card-{collection.name}"):
            _card(collection, jobs, words, is_chosen=collection is current)
    if current is not None:
        st.space("small")
        documents.documents(current, words)
    drawer()


def _head(collections: list[Collection], words: Labels) -> None:
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    left.header(words("collections.title"), anchor=False)
    if right.button(words("collections.create"), type="primary", icon=":material/add:", width="stretch", key="create"):
        st.dialog(words("collections.create"), icon=":material/library_add:")(_create)(
            [collection.name for collection in collections]
        )


def _card(collection: Collection, jobs: list[JobRecord], words: Labels, *, is_chosen: bool) -> None:
    card = view.card(collection, words)
    st.markdown(f"**{escaped(card.title)}**")
    st.text(card.facts)
    if card.failed:
        st.badge(card.failed, icon=":material/error:", color="red")
    st.caption(escaped(card.footnote))
    reindexing(collection, jobs, words)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        label, icon = ("collections.opened", ":material/check:") if is_chosen else ("collections.open", None)
        choose = partial(_choose, card.name)
        st.button(words(label), key=f"open-{card.name}", icon=icon, disabled=is_chosen, on_click=choose)
        is_asked = st.button(
            "", key=f"delete-{card.name}", icon=":material/delete:", help=words("collections.delete"), type="tertiary"
        )
    if is_asked:
        st.dialog(words("collections.delete"), icon=":material/delete:")(_delete)(collection)


def _choose(name: str) -> None:
    session.choose(name)
    session.tab().chat_id = ""


def _create(taken: list[str]) -> None:
    words = session.labels()
    title = st.text_input(
        words("collections.name"), help=words("collections.name_help"), max_chars=100, key="new-title"
    )
    name = view.slug(title, taken)
    st.caption(escaped(words("collections.slug", name=name)) if name else escaped(words("collections.name_help")))
    if st.button(words("collections.make"), type="primary", disabled=not name, key="make"):
        with session.reported(words):
            made = session.desk().mesh.index.create_collection(name, title.strip())
            _choose(made.name)
            st.toast(escaped(words("collections.made", title=view.title_of(made))), icon=":material/check:")
            st.rerun()


def _delete(collection: Collection) -> None:
    words = session.labels()
    title = view.title_of(collection)
    st.text(words("collections.delete_text", title=title, documents=collection.num_documents))
    typed = st.text_input(words("collections.name"), placeholder=title, key="typed-name")
    is_sure = typed.strip() in (title.strip(), collection.name)
    if st.button(words("collections.delete"), type="primary", disabled=not is_sure, key="delete-for-good"):
        with session.reported(words):
            session.desk().mesh.index.delete_collection(collection.name)
            st.toast(escaped(words("collections.deleted", title=title)), icon=":material/check:")
            st.rerun()


page()
