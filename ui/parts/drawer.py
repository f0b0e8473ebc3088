"""Dialogs at the side of the page: a cited passage, and the chunks of a document."""

from __future__ import annotations

import inspect

import streamlit as st

from clients.errors import NotFound, RagqError
from ui import session
from ui.parts.banner import failure
from ui.parts.prose import prose
from ui.prose import Block, Span, escaped
from ui.views import passage as view
from ui.views.collections import chunk_line, num_pages

CHUNKS_PER_PAGE = 10
# Streamlit puts dialogs at the side from 1.62 on; before that they stand in the middle.
_SIDE = {"position": "right"} if "position" in inspect.signature(st.dialog).parameters else {}


def drawer() -> None:
    """Open what this tab has opened, if anything."""
    tab = session.tab()
    if tab.document_id:
        _open_chunks(tab.document_id)
    elif tab.opened is not None:
        _open_passage(tab.opened)


def _open_passage(target: view.Target) -> None:
    """Open the drawer with a passage; it stays open when the page is drawn again."""
    words = session.labels()
    dialog = st.dialog(words("passage.title"), width="medium", icon=":material/menu_book:", on_dismiss=_close, **_SIDE)
    dialog(_passage)(target)


def _passage(target: view.Target) -> None:
    words = session.labels()
    try:
        found = session.desk().mesh.index.passage(target.chunk_id, around=1)
    except NotFound:
        st.warning(words("passage.gone"), icon=":material/history:")
        _content(view.remembered(target, words))
    except RagqError as error:
        failure(error, words)
        _content(view.remembered(target, words))
    else:
        _content(view.shown(target, found, words))


def _content(shown: view.Shown) -> None:
    words = session.labels()
    st.markdown(f"**{escaped(shown.document)}**")
    if shown.place:
        st.caption(escaped(shown.place))
    prose(shown.blocks, key="passage", is_source=True)
    if shown.document_id and st.button(words("passage.open"), icon=":material/list:", type="tertiary"):
        _close()
        session.tab().document_id = shown.document_id
        st.rerun()


def _open_chunks(document_id: str) -> None:
    """Open the drawer with a document's chunks."""
    words = session.labels()
    dialog = st.dialog(words("chunks.title"), width="medium", icon=":material/list:", on_dismiss=_close, **_SIDE)
    dialog(_chunks)(document_id)


def _close() -> None:
    tab = session.tab()
    tab.opened, tab.document_id = None, ""
    st.session_state.pop("chunks_page", None)


def _chunks(document_id: str) -> None:
    words = session.labels()
    index = session.desk().mesh.index
    page = int(st.session_state.get("chunks_page", 1))
    try:
        document = index.document(document_id)
        found = index.chunks(document_id, offset=(page - 1) * CHUNKS_PER_PAGE, limit=CHUNKS_PER_PAGE)
    except RagqError as error:
        failure(error, words)
        return
    st.caption(escaped(words("chunks.of", name=document.name, total=found.total)))
    if not found.total:
        st.text(words("chunks.none"))
    for chunk in found.chunks:
        with st.container(border=True):
            st.caption(escaped(chunk_line(chunk, words)))
            prose([Block([Span(chunk.text)])], key=f"chunk-{chunk.id}")
    if (pages := num_pages(found.total, CHUNKS_PER_PAGE)) > 1:
        st.pagination(pages, key="chunks_page")
