"""The settings of a chat, folded away."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import streamlit as st

from clients.asking import Ask, AskOptions
from clients.within import Within
from ui import manners, session
from ui.labels import Labels
from ui.manners import Manners
from ui.parts.limit import limit
from ui.prose import escaped
from ui.wishes import differing

ANSWERS = ("auto", "extractive", "written")
MODES = ("strict", "helpful")
MAX_ROUNDS, MAX_TOP_K, MAX_PASSAGES = 20, 50, 20
MAX_TEMPERATURE, MAX_PENALTY = 2.0, 2.0
MAX_CHARS = 1000


def wishes(words: Labels) -> None:
    """Let a person set how questions are answered; what is set stands in the tab and the address at once."""
    tab, settings = session.tab(), session.desk().mesh.config.ask
    changed = len(tab.wishes.given()) + len(tab.manners.given())
    title = words("wishes.title_changed", count=changed) if changed else words("wishes.title")
    with st.popover(escaped(title), icon=":material/tune:", width="stretch", key="wishes"):
        st.caption(escaped(words("wishes.about")))
        within = _within(tab.wishes.within or Within(), words)
        chosen = replace(_chosen(_held(settings, tab.wishes), words, tab.num_wishes), within=within)
        shown = _shown(settings, tab.manners, words, tab.num_wishes)
        st.button(words("wishes.reset"), key="wishes-reset", type="tertiary", icon=":material/undo:", on_click=_reset)
    tab.wishes, tab.manners = differing(settings, chosen), manners.differing(settings, shown)
    if len(tab.wishes.given()) + len(tab.manners.given()) != changed:
        st.rerun()


def _within(held: Within, words: Labels) -> Within | None:
    """The documents to ask; of which sources and kinds only the address can say."""
    tab = session.tab()
    if not tab.collection:
        return held or None
    documents = limit(tab.collection, held.documents, f"wish-{tab.num_wishes}-within", words)
    return replace(held, documents=documents) or None


def _held(settings: Ask, own: AskOptions) -> Ask:
    options: dict[str, Any] = replace(own, within=None).given()
    return replace(settings, **options)


def _reset() -> None:
    tab = session.tab()
    tab.wishes, tab.manners = AskOptions(), Manners()
    tab.num_wishes += 1


def _chosen(held: Ask, words: Labels, number: int) -> AskOptions:
    """What the fields say; a new number empties them."""
    key = partial("wish-{}-{}".format, number)
    answer = st.selectbox(
        words("wishes.answer"), ANSWERS, ANSWERS.index(held.answer), key=key("answer"),
        format_func=lambda name: words.word("wishes.answer", name),
    )  # fmt: skip
    mode = st.selectbox(
        words("wishes.mode"), MODES, MODES.index(held.mode), key=key("mode"),
        format_func=lambda name: words.word("wishes.mode", name),
    )  # fmt: skip
    low, high = st.slider(
        words("wishes.thresholds"), 0.0, 1.0, (held.threshold_low, held.threshold), 0.01, key=key("thresholds"),
        help=words("wishes.thresholds_help"),
    )  # fmt: skip
    return AskOptions(
        answer=answer, mode=mode, threshold_low=low, threshold=high,
        rounds=st.slider(words("wishes.rounds"), 0, max(MAX_ROUNDS, held.rounds), held.rounds, key=key("rounds")),
        top_k=st.slider(words("wishes.top_k"), 1, max(MAX_TOP_K, held.top_k), held.top_k, key=key("top_k")),
        passages=st.slider(
            words("wishes.passages"), 1, max(MAX_PASSAGES, held.passages), held.passages, key=key("passages")
        ),
        anyway=st.toggle(words("wishes.anyway"), held.anyway, key=key("anyway")),
        absent=_text("absent", held.absent, key("absent"), words),
        instructions=_text("instructions", held.instructions, key("instructions"), words),
        temperature=st.slider(
            words("wishes.temperature"), 0.0, MAX_TEMPERATURE, held.temperature, 0.1, key=key("temperature")
        ),
        presence_penalty=_penalty("presence_penalty", held.presence_penalty, key("presence"), words),
        frequency_penalty=_penalty("frequency_penalty", held.frequency_penalty, key("frequency"), words),
    )  # fmt: skip


def _shown(settings: Ask, held: Manners, words: Labels, number: int) -> Manners:
    """How the page is to present the chat."""
    opener = settings.opener if held.opener is None else held.opener
    return Manners(
        opener=_text("opener", opener, f"wish-{number}-opener", words),
        show_sources=st.toggle(
            words("wishes.show_sources"), held.shows_sources(settings), key=f"wish-{number}-show_sources",
            help=words("wishes.show_sources_help"),
        ),
    )  # fmt: skip


def _text(name: str, held: str, key: str, words: Labels) -> str:
    hint = words(f"wishes.{name}_hint")
    typed = st.text_area(words(f"wishes.{name}"), held, key=key, height=80, max_chars=MAX_CHARS, placeholder=hint)
    return str(typed or "").strip()


def _penalty(name: str, held: float, key: str, words: Labels) -> float:
    return float(st.slider(words(f"wishes.{name}"), -MAX_PENALTY, MAX_PENALTY, held, 0.1, key=key))
