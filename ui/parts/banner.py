"""A service that is away, or a page that failed, in words: what happened and what to do."""

from __future__ import annotations

import streamlit as st

from clients.errors import RagqError
from ui.labels import Labels
from ui.prose import escaped
from ui.views.health import Banner


def banner(shown: Banner) -> None:
    """Show it at the place where it stands."""
    show, icon = (st.error, ":material/error:") if shown.is_error else (st.info, ":material/hourglass_top:")
    show(f"**{escaped(shown.text)}**  \n{escaped(shown.fix)}", icon=icon)


def failure(error: RagqError, labels: Labels) -> None:
    """A call that failed while a page was drawn, with a button to try again."""
    text = labels("banner.failed", message=error.message)
    banner(Banner(text, error.help))
    st.button(labels("banner.again"), icon=":material/refresh:", key="again")


def defect(error: Exception, labels: Labels) -> None:
    """A defect of our own."""
    text = labels("banner.broken", message=f"{type(error).__name__}: {error}")
    banner(Banner(text, labels("banner.broken_fix")))
    st.button(labels("banner.again"), icon=":material/refresh:", key="again")
