"""How does a page say it in its visitor's language: every word of `ui.words`, by key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from .words import chat, history, ingest, library, limit, retrieval, shell, wishes

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

PARTS = (shell, chat, wishes, library, ingest, retrieval, history, limit)
TABLE: dict[str, tuple[str, str]] = {key: texts for part in PARTS for key, texts in part.TABLE.items()}


@dataclass(frozen=True, slots=True)
class Labels:
    """The words of one language: ``labels("chat.title")``."""

    language: Language

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key with its values filled in; KeyError for an unknown key or a missing value."""
        return TABLE[key][LANGUAGES.index(self.language)].format(**values)

    def has(self, key: str) -> bool:
        """Whether there is such a label, for words that come from a service."""
        return key in TABLE

    def word(self, family: str, word: str) -> str:
        """The label of a service's word, such as a status; the word itself where the table has none."""
        key = f"{family}.{word}"
        return self(key) if key in TABLE else word


def language_of(locale: str) -> Language:
    """The language for a browser's locale such as ``zh-CN``; English unless it is Chinese."""
    return "zh" if locale.lower().startswith("zh") else "en"
