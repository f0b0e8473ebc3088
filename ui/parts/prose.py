"""Text from outside on the page: built from text nodes only, with numbers that can be clicked."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from ui.prose import Block, plain_dicts

Renderer = Callable[..., Any]
_HERE = Path(__file__).parent
# Streamlit parts the names of events with two underscores and refuses keys that have them.
_KEY_GAP = re.compile("_{2,}")
_NAME = "ragq_prose"
_JS = (_HERE / "prose.js").read_text(encoding="utf-8")
_CSS = (_HERE / "prose.css").read_text(encoding="utf-8")


def _register() -> Renderer:
    renderer: Renderer = st.components.v2.component(_NAME, js=_JS, css=_CSS)
    return renderer


# One registration serves every text of every page.
_component: Callable[[], Renderer] = st.cache_resource(_register, show_spinner=False)


def prose(
    blocks: Sequence[Block], *, key: str, hints: Sequence[str] = (), is_source: bool = False, is_growing: bool = False
) -> int | None:
    """Show blocks of text.

    Args:
        blocks: what to show.
        key: stays the same while the text grows.
        hints: what each number opens, for the pointer and for screen readers.
        is_source: a passage of a document, as opposed to an answer.
        is_growing: more text is to come; numbers cannot be pressed yet.

    Returns:
        The target of the number that was clicked just now, or None.
    """
    data = {"blocks": plain_dicts(blocks), "hints": list(hints), "source": is_source, "growing": is_growing}
    clicked = _component()(key=_KEY_GAP.sub("-", key), data=data, on_opened_change=_noticed).opened
    return clicked if isinstance(clicked, int) else None


def _noticed() -> None:
    """A click is read where the text is shown; Streamlit wants a callback to pass it on."""
