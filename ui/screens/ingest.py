"""Add documents: typed, uploaded or from the server's disk, and follow the work."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import get_args

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from clients.errors import RagqError
from clients.index import Chunking, Collection, Job, Strategy, Text
from clients.web import WebResult
from ui import session
from ui.labels import Labels
from ui.parts import jobs
from ui.parts.banner import banner
from ui.parts.watches import watches
from ui.prose import escaped, shortened
from ui.views import ingest as view
from ui.views.collections import title_of
from ui.views.health import Banner

ROOTS = """index:
  roots: [/srv/documents]
"""

WEB = """index:
  web:
    enabled: true
"""

UPLOADER = """<style>
section:has([data-testid="stFileUploaderDropzoneInstructions"]) button p {{ font-size: 0; }}
section:has([data-testid="stFileUploaderDropzoneInstructions"]) button p::after
  {{ content: {browse}; font-size: 0.875rem; }}
[data-testid="stFileUploaderDropzoneInstructions"] span::before {{ content: {drop}; font-size: 0.875rem; }}
[data-testid="stFileUploaderDropzoneInstructions"] span {{ font-size: 0; }}
</style>"""


def page() -> None:
    """Four ways in, how texts are cut, and the jobs under way."""
    words = session.labels()
    st.header(words("ingest.title"), anchor=False)
    collection = session.collection()
    if collection is None:
        _first(words)
        return
    st.caption(escaped(words("ingest.into", title=title_of(collection))))
    upload, typed, web, path = st.tabs(
        [words("ingest.upload"), words("ingest.type"), words("ingest.web"), words("ingest.path")]
    )
    with upload:
        _upload(collection, words)
    with typed:
        _type(collection, words)
    with web:
        _web(collection, words)
    with path:
        _path(collection, words)
    jobs.progress()


def _first(words: Labels) -> None:
    st.text(words("chat.no_collection"))
    if st.button(words("collections.create"), type="primary", icon=":material/add:"):
        st.switch_page("screens/collections.py")


def _cut(words: Labels, key: str, *, by_line: bool = False) -> Chunking | None:
    """The numbers of the form; None while they cannot be."""
    index = session.desk().mesh.config.index
    with st.expander(words("ingest.cutting"), icon=":material/content_cut:"):
        strategy = st.selectbox(
            words("ingest.strategy"), get_args(Strategy), key=f"strategy-{key}",
            format_func=lambda name: words.word("strategy", name), help=words("ingest.strategy_help"),
        )  # fmt: skip
        left, right = st.columns(2)
        size = left.number_input(
            words("ingest.size"), view.MIN_SIZE, view.MAX_SIZE, index.chunk_size, 64, key=f"size-{key}",
            help=words("ingest.size_help"),
        )  # fmt: skip
        overlap = right.number_input(
            words("ingest.overlap"), 0, view.MAX_SIZE, index.overlap, 16, key=f"overlap-{key}",
            help=words("ingest.overlap_help"),
        )  # fmt: skip
    cut = view.cut(int(size), int(overlap), words, by_line=by_line, strategy=strategy)
    if cut.problem:
        st.error(escaped(cut.problem), icon=":material/error:")
        return None
    return cut.chunking


def _done(add: Callable[[], Job], words: Labels) -> bool:
    """Whether the documents are on their way; says why not."""
    try:
        add()
    except RagqError as error:
        banner(Banner(words("banner.failed", message=error.message), error.help))
        return False
    st.toast(words("ingest.queued"), icon=":material/check:")
    return True


def _upload(collection: Collection, words: Labels) -> None:
    tab = session.tab()
    _translate_uploader(words)
    files = st.file_uploader(
        words("ingest.files"),
        accept_multiple_files=True,
        key=f"files-{tab.num_uploads}",
        help=words("ingest.files_help"),
    )
    chunking = _cut(words, "upload")
    is_ready = bool(files) and chunking is not None
    if st.button(
        words("ingest.add"), type="primary", icon=":material/upload:", disabled=not is_ready, key="add-upload"
    ):
        assert chunking is not None
        if _done(lambda: _send(collection.name, list(files), chunking, words), words):
            tab.num_uploads += 1
            st.rerun()


def _translate_uploader(words: Labels) -> None:
    """Streamlit has no setting for the two texts inside its field; an older or newer one just keeps its own."""
    st.html(
        UPLOADER.format(
            browse=_quoted(words("ingest.browse")),
            drop=_quoted(words("ingest.drop", size=st.get_option("server.maxUploadSize"))),
        )
    )


def _quoted(text: str) -> str:
    """The text as a string of CSS."""
    return json.dumps(text, ensure_ascii=False)


def _send(collection: str, files: list[UploadedFile], chunking: Chunking, words: Labels) -> Job:
    names = view.free_names(file.name for file in files)
    with st.empty():
        return session.desk().mesh.index.add(
            collection,
            files={name: file.getvalue() for name, file in zip(names, files, strict=True)},
            chunking=chunking,
            on_upload=partial(_sent, words),
        )


def _sent(words: Labels, name: str, held: int, total: int) -> None:
    st.progress(held / max(1, total), text=escaped(words("ingest.sending", name=name)))


def _type(collection: Collection, words: Labels) -> None:
    tab = session.tab()
    name = st.text_input(words("ingest.text_name"), key=f"text-name-{tab.num_uploads}", max_chars=200)
    text = st.text_area(
        words("ingest.text"), key=f"text-{tab.num_uploads}", height=220, placeholder=words("ingest.text_hint")
    )
    by_line = st.checkbox(words("ingest.by_line"), help=words("ingest.by_line_help"), key="by-line")
    lines = view.lines_of(text)
    if by_line and lines:
        st.caption(words("ingest.num_lines", count=len(lines)))
    chunking = _cut(words, "type", by_line=by_line)
    is_ready = bool(lines) and chunking is not None
    if st.button(words("ingest.add"), type="primary", icon=":material/add:", disabled=not is_ready, key="add-text"):
        assert chunking is not None
        named = Text(name.strip() or shortened(lines[0], 60), text)
        if _done(lambda: session.desk().mesh.index.add(collection.name, texts=[named], chunking=chunking), words):
            tab.num_uploads += 1
            st.rerun()


def _web(collection: Collection, words: Labels) -> None:
    settings, tab = session.desk().mesh.config.index.web, session.tab()
    if not settings.enabled:
        said = f"**{escaped(words('ingest.no_web'))}**  \n{escaped(words('ingest.no_web_text'))}"
        st.info(said, icon=":material/public_off:")
        st.code(WEB, language="yaml")
        return
    typed = st.text_area(
        words("ingest.urls"), key=f"urls-{tab.num_uploads}", height=100, placeholder="https://example.org/article",
        help=words("ingest.urls_help"),
    )  # fmt: skip
    urls = [*view.lines_of(typed), *(_search(words) if settings.search else [])]
    chunking = _cut(words, "web")
    is_ready = bool(urls) and chunking is not None
    if st.button(words("ingest.add"), type="primary", icon=":material/add:", disabled=not is_ready, key="add-web"):
        assert chunking is not None
        if _done(lambda: session.desk().mesh.index.add(collection.name, urls=urls, chunking=chunking), words):
            tab.num_uploads += 1
            st.rerun()


def _search(words: Labels) -> list[str]:
    """The addresses that were chosen among the results of a web search."""
    tab = session.tab()
    query = st.text_input(words("ingest.web_query"), key=f"web-query-{tab.num_uploads}", max_chars=500).strip()
    if not query:
        return []
    if tab.web_query != query:
        try:
            tab.web_found = session.desk().mesh.index.web_search(query)
        except RagqError as error:
            banner(Banner(words("banner.failed", message=error.message), error.help))
            return []
        tab.web_query = query
    if not tab.web_found:
        st.caption(words("ingest.web_nothing"))
        return []
    st.caption(words("ingest.web_results"))
    return [page.url for page in tab.web_found if _is_chosen(page)]


def _is_chosen(page: WebResult) -> bool:
    shown = f"**{escaped(shortened(page.title, 100))}**  \n{escaped(page.url)}"
    return bool(st.checkbox(shown, key=f"web-{page.url}", help=escaped(page.text) or None))


def _path(collection: Collection, words: Labels) -> None:
    roots = session.desk().mesh.config.index.roots
    if not roots:
        said = f"**{escaped(words('ingest.no_roots'))}**  \n{escaped(words('ingest.no_roots_text'))}"
        st.info(said, icon=":material/folder_off:")
        st.code(ROOTS, language="yaml")
        return
    st.caption(escaped(words("ingest.roots", roots=", ".join(roots))))
    paths = view.lines_of(st.text_area(words("ingest.paths"), key="paths", height=100, placeholder=roots[0]))
    outside = view.first_outside(paths, roots)
    if outside:
        st.error(escaped(words("ingest.outside", path=outside)), icon=":material/error:")
    follows = st.checkbox(words("ingest.follow"), key="follow", help=words("ingest.follow_help"))
    chunking = _cut(words, "path")
    is_ready = bool(paths) and not outside and chunking is not None
    if st.button(words("ingest.add"), type="primary", icon=":material/add:", disabled=not is_ready, key="add-path"):
        assert chunking is not None
        add = _follow if follows else _add
        if add(collection.name, paths, chunking, words):
            st.rerun()
    watches(collection.name)


def _add(collection: str, paths: list[str], chunking: Chunking, words: Labels) -> bool:
    return _done(lambda: session.desk().mesh.index.add(collection, paths=paths, chunking=chunking), words)


def _follow(collection: str, paths: list[str], chunking: Chunking, words: Labels) -> bool:
    """Whether the paths are followed; says why not."""
    try:
        for path in paths:
            session.desk().mesh.index.watch(collection, path, chunking=chunking)
    except RagqError as error:
        banner(Banner(words("banner.failed", message=error.message), error.help))
        return False
    st.toast(words("ingest.followed"), icon=":material/check:")
    return True


page()
