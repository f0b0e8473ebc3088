"""A choice of documents: those that are searched, where it is not all of them."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from ui import session
from ui.labels import Labels

MAX_CHOSEN = 20


def limit(collection: str, held: Sequence[str], key: str, words: Labels) -> list[str]:
    """Names of documents, or patterns that somebody typed; none for all.

    Args:
        collection: whose documents are offered.
        held: what is chosen until somebody changes it.
        key: of the field; the collection becomes a part of it.
        words: in the language of the page.
    """
    kept = list(held)[:MAX_CHOSEN]
    offered = list(dict.fromkeys([*kept, *session.document_names(collection)]))
    chosen: list[str] = st.multiselect(
        words("limit.documents"), offered, kept, key=f"{key}-{collection}", max_selections=MAX_CHOSEN,
        accept_new_options=True, placeholder=words("limit.all"),
        help=words("limit.help", pattern="`reports/*.pdf`", any="`*`", one="`?`"),
    )  # fmt: skip
    return chosen
