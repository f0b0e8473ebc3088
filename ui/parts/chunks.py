"""The chunks of a document, with what a person may change in them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import streamlit as st

from clients.errors import RagqError
from clients.index import Chunk, IndexClient
from ui import session
from ui.labels import Labels
from ui.parts.banner import failure
from ui.parts.prose import prose
from ui.prose import Block, Span, escaped, shortened
from ui.views.chunks import breaks, state_line
from ui.views.collections import num_pages

PER_PAGE = 10
MAX_BREAK_CHARS = 60
_DOING, _PAGE = "chunk_doing", "chunks_page"
Doing = Literal["edit", "split"]


def chunks(document_id: str) -> None:
    """A page of them; each can be edited, split, merged with the next one and switched off."""
    words, index = session.labels(), _index()
    page = int(st.session_state.get(_PAGE, 1))
    try:
        document = index.document(document_id)
        found = index.chunks(document_id, offset=(page - 1) * PER_PAGE, limit=PER_PAGE)
    except RagqError as error:
        failure(error, words)
        return
    st.caption(escaped(words("chunks.of", name=document.name, total=found.total)))
    if not found.total:
        st.text(words("chunks.none"))
    for chunk in found.chunks:
        with st.container(border=True):
            _chunk(chunk, words, is_last=chunk.position + 1 == found.total, is_fixed=document.status != "ready")
    if (pages := num_pages(found.total, PER_PAGE)) > 1:
        st.pagination(pages, key=_PAGE)


def forget() -> None:
    """What was begun in a list that is closed is given up."""
    for key in (_DOING, _PAGE):
        st.session_state.pop(key, None)


def _chunk(chunk: Chunk, words: Labels, *, is_last: bool, is_fixed: bool) -> None:
    st.caption(escaped(state_line(chunk, words)))
    doing = st.session_state.get(_DOING)
    if doing == ("edit", chunk.id):
        _edit(chunk, words)
        return
    prose([Block([Span(chunk.text)])], key=f"chunk-{chunk.id}")
    if doing == ("split", chunk.id):
        _split(chunk, words)
    elif not is_fixed:
        _actions(chunk, words, is_last=is_last)


def _actions(chunk: Chunk, words: Labels, *, is_last: bool) -> None:
    index = _index()
    with st.container(horizontal=True, gap="small"):
        _button(words("chunks.edit"), "edit", chunk, partial(_begin, "edit", chunk.id))
        if breaks(chunk.text):
            _button(words("chunks.split"), "content_cut", chunk, partial(_begin, "split", chunk.id))
        if not is_last:
            _button(words("chunks.merge"), "merge", chunk, partial(index.merge_chunks, chunk.id))
        label, icon = ("chunks.off", "visibility_off") if chunk.is_enabled else ("chunks.on", "visibility")
        _button(words(label), icon, chunk, partial(_switch, index, chunk))
        if chunk.is_edited:
            _button(words("chunks.revert"), "undo", chunk, partial(index.revert_chunk, chunk.id))


def _switch(index: IndexClient, chunk: Chunk) -> None:
    index.switch_chunks([chunk.id], is_enabled=not chunk.is_enabled)


def _edit(chunk: Chunk, words: Labels) -> None:
    key = f"text-{chunk.id}"
    st.text_area(words("chunks.text"), chunk.text, key=key, height=200, label_visibility="collapsed")
    _decide(words("chunks.save"), chunk, words, lambda: _index().edit_chunk(chunk.id, str(st.session_state[key])))


def _split(chunk: Chunk, words: Labels) -> None:
    key = f"break-{chunk.id}"
    st.radio(
        words("chunks.second"),
        breaks(chunk.text),
        key=key,
        format_func=lambda place: escaped(shortened(chunk.text[place:], MAX_BREAK_CHARS)),
    )
    _decide(words("chunks.split"), chunk, words, lambda: _index().split_chunk(chunk.id, int(st.session_state[key])))


def _index() -> IndexClient:
    return session.desk().mesh.index


def _decide(label: str, chunk: Chunk, words: Labels, act: Callable[[], object]) -> None:
    with st.container(horizontal=True, gap="small"):
        st.button(label, key=f"do-{chunk.id}", type="primary", on_click=session.on_click(partial(_do, act)))
        st.button(words("chunks.cancel"), key=f"cancel-{chunk.id}", on_click=_end)


def _button(label: str, icon: str, chunk: Chunk, act: Callable[[], object]) -> None:
    click = session.on_click(partial(_plainly, act))
    st.button(label, key=f"{icon}-{chunk.id}", type="tertiary", icon=f":material/{icon}:", on_click=click)


def _plainly(act: Callable[[], object]) -> None:
    act()


def _do(act: Callable[[], object]) -> None:
    act()
    _end()


def _begin(what: Doing, chunk_id: str) -> None:
    st.session_state[_DOING] = (what, chunk_id)


def _end() -> None:
    st.session_state.pop(_DOING, None)
