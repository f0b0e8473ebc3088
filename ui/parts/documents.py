"""The documents of a collection: failed ones first, each with its state, its reason and what can be done."""

from __future__ import annotations

from functools import partial
from typing import get_args

import streamlit as st

from clients.errors import RagqError
from clients.index import Collection, Document, Documents, Status
from ui import session
from ui.labels import Labels
from ui.parts.banner import failure
from ui.prose import escaped
from ui.views import collections as view

PER_PAGE = 20
EVERY_S = 1.0


def documents(collection: Collection, words: Labels) -> None:
    """The list with its filters; it follows by itself while documents are on their way."""
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    left.subheader(escaped(words("documents.title", title=view.title_of(collection))), anchor=False)
    if right.button(words("chat.add"), icon=":material/add:", key="add-here", width="stretch"):
        st.switch_page("screens/ingest.py")
    keyword, status = _filters(words)
    try:
        found = _found(collection.name, keyword, status)
    except RagqError as error:
        failure(error, words)
        return
    if any(document.status not in ("ready", "failed", "cancelled") for document in found.documents):
        st.fragment(_live, run_every=EVERY_S)(collection.name, keyword, status)
    else:
        _list(found, words, is_filtered=bool(keyword or status))


def _filters(words: Labels) -> tuple[str, str]:
    left, right = st.columns([3, 1])
    keyword = left.text_input(
        words("documents.filter"), key="keyword", label_visibility="collapsed", placeholder=words("documents.filter")
    )
    status = right.selectbox(
        words("documents.status"), ["", *get_args(Status)], key="with-status", label_visibility="collapsed",
        format_func=lambda each: words(f"status.{each}") if each else words("documents.all"),
    )  # fmt: skip
    return keyword.strip(), status


def _found(collection: str, keyword: str, status: str) -> Documents:
    index = session.desk().mesh.index
    page = int(st.session_state.get("documents_page", 1))
    found = index.documents(collection, keyword=keyword, status=status, offset=(page - 1) * PER_PAGE, limit=PER_PAGE)
    if not found.documents and page > 1:  # the filter left fewer pages than the one that was open
        found = index.documents(collection, keyword=keyword, status=status, limit=PER_PAGE)
    return found


def _live(collection: str, keyword: str, status: str) -> None:
    words = session.labels()
    try:
        found = _found(collection, keyword, status)
    except RagqError as error:
        st.caption(escaped(words("banner.failed", message=error.message)))
        return
    if all(document.status in ("ready", "failed", "cancelled") for document in found.documents):
        st.rerun()
    _list(found, words, is_filtered=bool(keyword or status))


def _list(found: Documents, words: Labels, *, is_filtered: bool) -> None:
    if not found.total:
        st.caption(words("documents.no_match" if is_filtered else "documents.none"))
        return
    st.caption(words("documents.total", total=found.total))
    for document in found.documents:
        with st.container(border=True, key=f"document-{document.id}"):
            _row(document, words)
    if (pages := view.num_pages(found.total, PER_PAGE)) > 1:
        st.pagination(pages, key="documents_page")


def _row(document: Document, words: Labels) -> None:
    row = view.row(document, words)
    left, right = st.columns([3, 1], vertical_alignment="center")
    with left:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**{escaped(row.name)}**", width="content")
            st.badge(row.status, color=row.color)
        st.caption(escaped(row.facts))
    with right.container(horizontal=True, horizontal_alignment="right", gap="small"):
        _actions(document, row, words)
    if row.reason:
        fix = f"  \n{escaped(row.fix)}" if row.fix else ""
        st.error(f"{escaped(row.reason)}{fix}", icon=":material/error:")


def _actions(document: Document, row: view.Row, words: Labels) -> None:
    if row.has_chunks:
        see = partial(_see, row.id)
        st.button(
            "",
            key=f"chunks-{row.id}",
            icon=":material/list:",
            help=words("documents.chunks"),
            type="tertiary",
            on_click=see,
        )
    if row.can_retry:
        retry = session.on_click(partial(_retry, document))
        st.button(
            "", key=f"retry-{row.id}", icon=":material/replay:", help=words("documents.retry"), type="tertiary",
            on_click=retry,
        )  # fmt: skip
    if st.button("", key=f"remove-{row.id}", icon=":material/delete:", help=words("documents.delete"), type="tertiary"):
        st.dialog(words("documents.delete"), icon=":material/delete:")(_remove)(document)


def _see(document_id: str) -> None:
    session.tab().document_id = document_id


def _retry(document: Document) -> None:
    session.desk().mesh.index.retry_document(document.id)
    st.toast(escaped(session.labels()("documents.retried", name=document.name)), icon=":material/replay:")


def _remove(document: Document) -> None:
    words = session.labels()
    st.text(words("documents.delete_ask", name=document.name))
    with st.container(horizontal=True):
        is_sure = st.button(words("documents.delete_yes"), type="primary", key="remove-for-good")
        if st.button(words("documents.keep"), key="keep"):
            st.rerun()
    if is_sure:
        with session.reported(words):
            session.desk().mesh.index.delete_document(document.id)
            st.toast(escaped(words("documents.deleted", name=document.name)), icon=":material/check:")
            st.rerun()
