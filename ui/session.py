"""What a page asks for: the mesh, the words, what this tab has chosen; pages ask here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import streamlit as st

from clients.asking import AskOptions
from clients.errors import RagqError
from clients.index import Collection
from clients.llm import ModelInfo
from clients.mesh import Ragq
from clients.status import ServiceStatus
from clients.web import WebResult

from . import manners
from .desk import Desk
from .labels import LANGUAGES, Labels, Language, language_of
from .manners import Manners
from .prose import escaped
from .trials import Finds, Trial
from .views.collections import chosen
from .views.health import state_of
from .views.passage import Target
from .wishes import address_of, wishes_of

TIMEOUT_S = 20.0
STATUS_TIMEOUT_S = 1.0
FRESH_S = 2.0
MODELS_FRESH_S = 30.0
QUESTIONS = "trial-text"
MAX_OFFERED = 500
NOT_KEPT = "off"
_KEY = "ragq"


@dataclass(slots=True)
class Tab:
    """What one browser tab holds; all that matters is in the URL or in the mesh.

    Attributes:
        opened: a passage to show in the drawer.
        document_id: a document whose chunks to show.
        num_uploads: how many uploads were taken; a new number empties the upload field.
        web_query, web_found: the last web search, and what it found.
        written: the URL's values as this tab last wrote them.
        trial, finds: what is tried on the page of retrieval tests, and what was found; None before the first visit.
        remembers: whether what is tried there is kept.
        wishes, manners, num_wishes: how questions are to be answered, and the answers shown; a new number gives the
            fields back their defaults.
        limited: the collection whose documents the wishes and the trial may name.
    """

    language: Language = "en"
    collection: str = ""
    chat_id: str = ""
    opened: Target | None = None
    document_id: str = ""
    num_uploads: int = 0
    web_query: str = ""
    web_found: list[WebResult] = field(default_factory=list)
    written: dict[str, str] = field(default_factory=dict)
    trial: Trial | None = None
    finds: Finds = field(default_factory=Finds)
    remembers: bool = True
    wishes: AskOptions = field(default_factory=AskOptions)
    manners: Manners = field(default_factory=Manners)
    num_wishes: int = 0
    limited: str = ""


def tab() -> Tab:
    """This tab's state, made from the URL at its first run."""
    if _KEY not in st.session_state:
        st.session_state[_KEY] = Tab(language=_first_language())
    found: Tab = st.session_state[_KEY]
    return found


def _first_language() -> Language:
    setting = desk().mesh.config.ask.language
    return setting if setting != "auto" else language_of(st.context.locale or "")


def labels() -> Labels:
    """The words in this tab's language."""
    return Labels(tab().language)


def synced(held: str, written: str, given: str) -> str:
    """The value to go on with: the URL's when somebody else changed it, else what the tab holds."""
    return given if given and given != written else held


def read_url() -> None:
    """Take over what the URL says: a reload, a bookmark, the browser's back button."""
    held = tab()
    held.collection = synced(held.collection, held.written.get("collection", ""), st.query_params.get("collection", ""))
    held.chat_id = synced(held.chat_id, held.written.get("chat", ""), st.query_params.get("chat", ""))
    wished = synced(address_of(held.wishes), held.written.get("ask", ""), st.query_params.get("ask", ""))
    held.wishes = wishes_of(wished)
    shown = synced(manners.address_of(held.manners), held.written.get("look", ""), st.query_params.get("look", ""))
    held.manners = manners.manners_of(shown)
    trace = "" if held.remembers else NOT_KEPT
    kept = synced(trace, held.written.get("history", ""), st.query_params.get("history", ""))
    held.remembers = kept != NOT_KEPT
    language = synced(held.language, held.written.get("lang", ""), st.query_params.get("lang", ""))
    held.language = next((known for known in LANGUAGES if known == language), held.language)


def write_url(**values: str) -> None:
    """Keep the values in the URL; an empty one leaves it."""
    for name, value in values.items():
        if value:
            st.query_params[name] = value
        elif name in st.query_params:
            del st.query_params[name]
        tab().written[name] = value


def _open_desk() -> Desk:
    return Desk(Ragq(timeout_s=TIMEOUT_S))


def _services() -> list[ServiceStatus]:
    return desk().mesh.status(STATUS_TIMEOUT_S).services


def _models() -> list[ModelInfo]:
    return desk().mesh.llm.models(timeout_s=STATUS_TIMEOUT_S)


def _document_names(collection: str) -> list[str]:
    page = desk().mesh.index.documents(collection, status="ready", limit=MAX_OFFERED)
    return sorted({document.name for document in page.documents})


# The mesh and the runs of this process; ConfigError when ragq.yml is wrong.
desk: Callable[[], Desk] = st.cache_resource(_open_desk, show_spinner=False)
# What each service said of itself within the last seconds.
services: Callable[[], list[ServiceStatus]] = st.cache_data(_services, ttl=FRESH_S, show_spinner=False)
_known_models: Callable[[], list[ModelInfo]] = st.cache_data(_models, ttl=MODELS_FRESH_S, show_spinner=False)

_known_documents: Callable[[str], list[str]] = st.cache_data(_document_names, ttl=FRESH_S, show_spinner=False)


def models() -> list[ModelInfo]:
    """The models behind the page; none while the LLM service is away."""
    if state_of(services(), "llm") != "ready":
        return []
    try:
        return _known_models()
    except RagqError:  # the badge says that it is not known; the banner says why
        return []


def is_ready(service: str) -> bool:
    """Whether a service takes calls."""
    return state_of(services(), service) == "ready"


def collections() -> list[Collection]:
    """All collections."""
    return desk().mesh.index.collections()


def collection() -> Collection | None:
    """The collection that this tab works with; None when there is none at all."""
    return chosen(tab().collection, collections())


def document_names(collection: str) -> list[str]:
    """Names of the newest documents of a collection that can be searched; the others can be typed."""
    try:
        return _known_documents(collection)
    except RagqError:  # the page itself says that the Index service is away
        return []


def work_with(collection: str) -> None:
    """Work with this collection from now on; what was limited to documents of another one is limited no more."""
    held = tab()
    if held.limited not in ("", collection):
        held.wishes = replace(held.wishes, within=None)
        held.trial = replace(held.trial, within=()) if held.trial else None
    held.collection = held.limited = collection


def finds() -> Finds:
    """What this tab's trials found."""
    return tab().finds


def try_question(text: str) -> None:
    """Put a question into the page of retrieval tests, in place of what stands there."""
    held = tab()
    held.trial = replace(held.trial or Trial(), text=text)
    st.session_state[QUESTIONS] = text


def choose(name: str) -> None:
    """Work with this collection from now on, on every page."""
    tab().collection = name
    st.session_state.pop("picked", None)


@contextmanager
def reported(words: Labels) -> Iterator[None]:
    """Show an error of the mesh where it happens and go on; for what a click set off."""
    try:
        yield
    except RagqError as error:
        text = words("banner.failed", message=error.message)
        st.toast(escaped(f"{text} {error.help}"), icon=":material/error:", duration="long")


def on_click(act: Callable[[], None]) -> Callable[[], None]:
    """The action as a callback whose errors are shown instead of ending the page."""

    def click() -> None:
        with reported(labels()):
            act()

    return click
