"""Ingest jobs as cards that follow the work while the page stays usable."""

from __future__ import annotations

from functools import partial

import streamlit as st

from clients.errors import RagqError
from clients.index import JobRecord
from ui import session
from ui.labels import Labels
from ui.prose import escaped
from ui.views import ingest as view
from ui.views.collections import title_of

EVERY_S = 0.5
MAX_FINISHED = 3
MAX_FAILURES = 20


def progress() -> None:
    """Running jobs, refreshed by themselves, and the last finished ones."""
    words = session.labels()
    jobs = session.desk().mesh.index.jobs()
    if not jobs:
        return
    titles = {each.name: title_of(each) for each in session.collections()}
    st.subheader(words("jobs.title"), anchor=False)
    if view.running(jobs):
        st.fragment(_live, run_every=EVERY_S)(titles)
    else:
        _cards(jobs, titles, words)


def _live(titles: dict[str, str]) -> None:
    words = session.labels()
    try:
        jobs = session.desk().mesh.index.jobs()
    except RagqError as error:
        st.caption(escaped(words("banner.failed", message=error.message)))
        return
    if not view.running(jobs):
        st.rerun()
    _cards(jobs, titles, words)


def _cards(jobs: list[JobRecord], titles: dict[str, str], words: Labels) -> None:
    working = view.running(jobs)
    finished = [job for job in jobs if job not in working][:MAX_FINISHED]
    for job in [*working, *finished]:
        with st.container(border=True, key=f"job-{job.id}"):
            _card(view.card(job, words), titles, words)


def _card(card: view.Card, titles: dict[str, str], words: Labels) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        into = words("jobs.into", title=titles.get(card.collection, card.collection))
        st.markdown(f"**{escaped(card.headline)}** · {escaped(into)}", width="content")
        if card.is_running:
            cancel = session.on_click(partial(_cancel, card.id))
            st.button(words("jobs.cancel"), key=f"cancel-{card.id}", on_click=cancel, icon=":material/close:")
        elif card.can_ask and st.button(words("jobs.ask"), key=f"ask-{card.id}", icon=":material/forum:"):
            session.choose(card.collection)
            session.tab().chat_id = ""
            st.switch_page("screens/chat.py")
    if card.is_running:
        st.progress(card.fraction)
    st.caption(escaped(card.facts))
    if card.current:
        st.caption(escaped(card.current))
    if card.reason:
        st.error(escaped(card.reason))
    for document in card.failures[:MAX_FAILURES]:
        fix = f"  \n{escaped(document.fix)}" if document.fix else ""
        st.error(f"**{escaped(document.name)}** — {escaped(document.reason)}{fix}", icon=":material/error:")


def _cancel(job_id: str) -> None:
    session.desk().mesh.index.job(job_id).cancel()
