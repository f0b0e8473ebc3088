"""What the page of knowledge bases and their documents shows."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection as Names
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from clients.index import Collection, Document
from ui import units
from ui.labels import Labels
from ui.told import told

MAX_NAME_CHARS = 64
SAMPLE = "handbook"
Color = Literal["green", "red", "orange", "gray"]
_COLORS: dict[str, Color] = {"ready": "green", "failed": "red", "cancelled": "gray"}


@dataclass(frozen=True, slots=True)
class Card:
    """A knowledge base at a glance."""

    name: str
    title: str
    facts: str
    failed: str
    footnote: str


def title_of(collection: Collection) -> str:
    """What people read; its key where it has no title."""
    return collection.title or collection.name


def card(collection: Collection, labels: Labels) -> Card:
    """The card of a collection."""
    model = labels("collections.model", model=collection.model) if collection.model else labels("collections.no_model")
    made = labels("collections.created", date=units.day(collection.created_at)) if collection.created_at else ""
    return Card(
        name=collection.name,
        title=title_of(collection),
        facts=" · ".join([
            labels("collections.documents", count=collection.num_documents),
            labels("collections.chunks", count=collection.num_chunks),
        ]),
        failed=labels("collections.failed", count=collection.num_failed) if collection.num_failed else "",
        footnote=" · ".join(filter(None, [model, made])),
    )  # fmt: skip


def chosen(wanted: str, collections: Sequence[Collection]) -> Collection | None:
    """The collection that a page works with: the wanted one, else the sample, else the first."""
    by_name = {collection.name: collection for collection in collections}
    return by_name.get(wanted) or by_name.get(SAMPLE) or next(iter(collections), None)


def slug(title: str, taken: Names[str] = ()) -> str:
    """A free key for a title in any script: letters, digits, ``-`` and ``_``, at most 64 characters.

    Empty for a title without a single letter or digit.
    """
    text = unicodedata.normalize("NFKC", title).strip().lower()
    name = re.sub(r"[^\w]+", "-", text).strip("-_")[:MAX_NAME_CHARS].rstrip("-_")
    if not name or name not in taken:
        return name
    return next(free for n in range(2, len(taken) + 3) if (free := _numbered(name, n)) not in taken)


def _numbered(name: str, number: int) -> str:
    ending = f"-{number}"
    return name[: MAX_NAME_CHARS - len(ending)] + ending


@dataclass(frozen=True, slots=True)
class Row:
    """A document in the list."""

    id: str
    name: str
    status: str
    color: Color
    facts: str
    reason: str
    fix: str
    can_retry: bool
    has_chunks: bool


def row(document: Document, labels: Labels) -> Row:
    """The line of a document, with the reason and the cure when it failed."""
    return Row(
        id=document.id,
        name=document.name,
        status=labels(f"status.{document.status}"),
        color=_COLORS.get(document.status, "orange"),
        facts=labels(
            "documents.facts", size=units.size(document.size_bytes), chunks=document.num_chunks,
            date=units.day(document.updated_at or document.created_at),
        ).rstrip(" ·"),
        reason=told(document.reason, labels),
        fix=labels("documents.fix", fix=told(document.fix, labels)) if document.fix else "",
        can_retry=document.status in ("failed", "cancelled"),
        has_chunks=document.num_chunks > 0 and document.status == "ready",
    )  # fmt: skip


def num_pages(total: int, per_page: int) -> int:
    """Pages that it takes; one for an empty list."""
    return max(1, -(-total // per_page))
