"""Which directories of the service's disk are followed into a knowledge base, and how far that is."""

from __future__ import annotations

import streamlit as st

from clients.errors import RagqError
from clients.watching import Watch
from ui import session, units
from ui.labels import Labels
from ui.parts.banner import failure
from ui.prose import escaped

EVERY_S = 5.0


def watches(collection: str) -> None:
    """The list, looked at again by itself."""
    st.fragment(_watches, run_every=EVERY_S)(collection)


def _watches(collection: str) -> None:
    words = session.labels()
    try:
        found = [watch for watch in session.desk().mesh.index.watches() if watch.collection == collection]
    except RagqError as error:
        failure(error, words)
        return
    if found:
        st.markdown(f"**{escaped(words('watch.title'))}**")
    for watch in found:
        _row(watch, words)


def _row(watch: Watch, words: Labels) -> None:
    left, right = st.columns([5, 1], vertical_alignment="center")
    said = words("watch.files", path=watch.path, files=watch.num_files, waiting=watch.num_waiting)
    left.markdown(escaped(said), help=escaped(words("watch.removes")) if watch.removes else None)
    if watch.reason:
        left.caption(escaped(watch.reason))
    elif watch.checked_at:
        left.caption(escaped(words("watch.looked", time=units.day(watch.checked_at))))
    if right.button(words("watch.stop"), key=f"unwatch-{watch.id}", icon=":material/visibility_off:"):
        session.desk().mesh.index.unwatch(watch.id)
        st.rerun(scope="fragment")
