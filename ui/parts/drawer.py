"""Dialogs at the side of the page: a cited passage, and the chunks of a document."""

from __future__ import annotations

import inspect

import streamlit as st

from clients.errors import NotFound, RagqError
from ui import session
from ui.parts.banner import failure
from ui.parts.chunks import chunks, forget
from ui.parts.prose import prose
from ui.prose import escaped, shortened
from ui.views import passage as view

DRAWN = ("application/pdf", "image/")
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
        if found.chunk.page and found.document.media_type.startswith(DRAWN):
            _page(found.document.id, found.chunk.page)


def _page(document_id: str, page: int) -> None:
    """How the page looks, once somebody wants to see it."""
    words = session.labels()
    if not st.toggle(words("passage.show_page", page=page), key=f"page-{document_id}-{page}"):
        return
    try:
        st.image(session.desk().mesh.index.page_image(document_id, page), width="stretch")
    except RagqError as error:
        failure(error, words)


def _content(shown: view.Shown) -> None:
    words = session.labels()
    st.markdown(f"**{escaped(shown.document)}**")
    if shown.place:
        st.caption(escaped(shown.place))
    if shown.copies:
        st.caption(escaped(shown.copies))
    if shown.source.startswith(("http://", "https://")):
        st.link_button(shortened(shown.source, 60), shown.source, type="tertiary", icon=":material/open_in_new:")
    prose(shown.blocks, key="passage", is_source=True)
    if shown.document_id and st.button(words("passage.open"), icon=":material/list:", type="tertiary"):
        _close()
        session.tab().document_id = shown.document_id
        st.rerun()


def _open_chunks(document_id: str) -> None:
    """Open the drawer with a document's chunks."""
    words = session.labels()
    dialog = st.dialog(words("chunks.title"), width="medium", icon=":material/list:", on_dismiss=_close, **_SIDE)
    dialog(chunks)(document_id)


def _close() -> None:
    tab = session.tab()
    tab.opened, tab.document_id = None, ""
    forget()
