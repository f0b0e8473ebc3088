"""The line on a card that offers another embedding model, or follows the change to it."""

from __future__ import annotations

from functools import partial

import streamlit as st

from clients.errors import RagqError
from clients.index import Collection, JobRecord
from ui import session
from ui.labels import Labels
from ui.prose import escaped
from ui.views import reindexing as view

EVERY_S = 1.0


def reindexing(collection: Collection, jobs: list[JobRecord], words: Labels) -> None:
    """The line, where there is one; while a re-index runs it is refreshed by itself."""
    if view.running_of(collection, jobs):
        st.fragment(_live, run_every=EVERY_S)(collection)
    else:
        _line(collection, jobs, words)


def _live(collection: Collection) -> None:
    words = session.labels()
    try:
        jobs = session.desk().mesh.index.jobs()
    except RagqError as error:
        st.caption(escaped(words("banner.failed", message=error.message)))
        return
    if view.running_of(collection, jobs) is None:
        st.rerun()
    _line(collection, jobs, words)


def _line(collection: Collection, jobs: list[JobRecord], words: Labels) -> None:
    line = view.notice(collection, session.models(), jobs, words)
    if line is None:
        return
    st.caption(escaped(line.text))
    if line.job_id:
        st.progress(line.fraction)
        label, icon, act = "jobs.cancel", ":material/close:", partial(_cancel, line.job_id)
    else:
        label, icon, act = "reindex.start", ":material/autorenew:", partial(_start, collection.name)
    st.button(words(label), key=f"reindex-{collection.name}", icon=icon, on_click=session.on_click(act))


def _start(name: str) -> None:
    session.desk().mesh.index.reindex(name)


def _cancel(job_id: str) -> None:
    session.desk().mesh.index.job(job_id).cancel()
