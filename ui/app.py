"""The table of pages, and the sidebar that all of them share."""

from __future__ import annotations

import logging
from pathlib import Path

import streamlit as st

from clients.errors import ConfigError, RagqError
from clients.index import Collection
from ui import manners, session
from ui.labels import LANGUAGES, Labels, language_of
from ui.parts.banner import banner, defect, failure
from ui.prose import escaped
from ui.views import health as view
from ui.views.collections import chosen, title_of
from ui.wishes import address_of

LOG = logging.getLogger("ragq.ui")
HERE = Path(__file__).parent
EVERY_S = 3.0
ICONS = {"green": ":material/check_circle:", "orange": ":material/hourglass_top:", "red": ":material/error:"}


def main() -> None:
    """Draw the sidebar, then the page; whatever fails is said in words."""
    st.set_page_config(page_title="ragq", page_icon=str(HERE / "icon.svg"), layout="centered")
    st.html(HERE / "page.css")
    st.logo(HERE / "logo.svg", size="large", icon_image=HERE / "icon.svg")
    try:
        session.desk()
    except ConfigError as error:
        words = Labels(language_of(st.context.locale or ""))
        banner(view.Banner(words("banner.config", message=error.message), error.help))
        st.stop()
    session.read_url()
    words = session.labels()
    current = _navigation(words)
    try:
        _picker(words)
        if _can_go_on(words):
            current.run()
    except RagqError as error:
        failure(error, words)
    except Exception as error:
        LOG.exception("a page failed")
        defect(error, words)
    _status(words)
    _keep_in_url()


def _navigation(words: Labels) -> st.Page:
    return st.navigation(
        {
            words("app.pages_use"): [
                st.Page("screens/chat.py", title=words("chat.title"), icon=":material/forum:", default=True),
                st.Page("screens/retrieval.py", title=words("retrieval.title"), icon=":material/manage_search:"),
            ],
            words("app.pages_manage"): [
                st.Page("screens/collections.py", title=words("collections.title"), icon=":material/library_books:"),
                st.Page("screens/ingest.py", title=words("ingest.title"), icon=":material/upload_file:"),
            ],
        }
    )


def _can_go_on(words: Labels) -> bool:
    """Whether the page has what it needs; says so when it has not."""
    services = session.services()
    away = view.banner(services, "index", words)
    if away:
        banner(away)
        return False
    if away := view.banner(services, "llm", words):
        banner(view.Banner(away.text, f"{words('banner.no_models')} {away.fix}", away.is_error))
    return True


def _status(words: Labels) -> None:
    st.sidebar.divider()
    with st.sidebar.container(key="side-status"):
        st.fragment(_well, run_every=EVERY_S)(words)
        _badges(words)
        st.button(
            words("app.language"), icon=":material/translate:", type="tertiary", key="language",
            help=words("app.language_help"), on_click=_switch_language,
        )  # fmt: skip


def _picker(words: Labels) -> None:
    if not session.is_ready("index"):
        return
    collections = {collection.name: collection for collection in session.collections()}
    current = chosen(session.tab().collection, list(collections.values()))
    if current is None:
        st.sidebar.caption(words("app.no_collection"))
        return
    session.work_with(current.name)
    st.session_state["picked"] = current.name
    st.sidebar.selectbox(
        words("app.collection"), list(collections), key="picked", format_func=lambda name: _title(collections, name),
        on_change=_picked, help=words("app.collection_help"),
    )  # fmt: skip


def _title(collections: dict[str, Collection], name: str) -> str:
    return title_of(collections[name]) if name in collections else name


def _picked() -> None:
    session.tab().collection = st.session_state["picked"]
    session.tab().chat_id = ""


def _well(words: Labels) -> None:
    """The dot; when a service comes or goes, the whole page is drawn again."""
    services = session.services()
    states = [(service.service, service.state) for service in services]
    if st.session_state.setdefault("states", states) != states:
        st.session_state["states"] = states
        st.rerun()
    shown = view.health(services, words)
    st.badge(escaped(shown.text), icon=ICONS[shown.color], color=shown.color, help=escaped(" / ".join(shown.rows)))


def _badges(words: Labels) -> None:
    lines = view.badges(session.models(), session.desk().mesh.config.ask, words)
    st.caption("  \n".join(map(escaped, lines)))


def _switch_language() -> None:
    tab = session.tab()
    tab.language = next(language for language in LANGUAGES if language != tab.language)
    session.write_url(lang=tab.language)


def _keep_in_url() -> None:
    tab = session.tab()
    session.write_url(collection=tab.collection, chat=tab.chat_id, ask=address_of(tab.wishes))
    session.write_url(look=manners.address_of(tab.manners))
    session.write_url(history="" if tab.remembers else session.NOT_KEPT)
    if tab.written.get("lang"):
        session.write_url(lang=tab.language)


main()
