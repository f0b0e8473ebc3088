"""What was asked and what came back: from events on the way, and from a stored turn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace

from clients.answers import Answer, Decision, Delta, Event, Rewritten, Round, Sources
from clients.errors import BadRequest
from clients.index import Hit, Turn
from clients.reading import read

MAX_HIT_CHARS = 400


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question and as much of its answer as there is.

    Attributes:
        text: the answer so far; the whole of it when ``answer`` is there.
        hits: the passages found; ``[1]`` in the text is ``hits[0]``.
        is_stopped: a person stopped it; ``answer`` is None then.
    """

    question: str
    collection: str
    text: str = ""
    query: str = ""
    hits: list[Hit] = field(default_factory=list)
    decision: Decision | None = None
    answer: Answer | None = None
    is_stopped: bool = False
    created_at: float = 0.0


def told(exchange: Exchange, events: Iterable[Event]) -> Exchange:
    """The exchange after these events."""
    for event in events:
        exchange = _after(exchange, event)
    return exchange


def _after(exchange: Exchange, event: Event) -> Exchange:
    match event:
        case Rewritten(query):
            return replace(exchange, query=query)
        case Sources(hits):
            return replace(exchange, hits=hits)
        case Decision():
            return replace(exchange, decision=event)
        case Delta(text):
            return replace(exchange, text=exchange.text + text)
        case Answer():
            return replace(exchange, text=event.text, query=event.query, decision=event.decision, answer=event)


def turn_of(chat_id: str, exchange: Exchange) -> Turn:
    """The exchange as the Index service keeps it; long hits are cut, since the passage can be fetched by its id."""
    short = [replace(hit, text=hit.text[:MAX_HIT_CHARS]) for hit in exchange.hits]
    detail: dict[str, object] = {
        "query": exchange.query,
        "hits": [asdict(hit) for hit in short],
        "decision": asdict(exchange.decision) if exchange.decision else None,
        "answer": asdict(exchange.answer) if exchange.answer else None,
        "is_stopped": exchange.is_stopped,
    }
    return Turn(chat_id, exchange.question, exchange.text, exchange.collection, exchange.created_at, detail)


@dataclass(frozen=True, slots=True)
class _Detail:
    query: str = ""
    hits: list[Hit] = field(default_factory=list)
    decision: Decision | None = None
    answer: Answer | None = None
    is_stopped: bool = False


def exchange_of(turn: Turn) -> Exchange:
    """A stored turn; one whose detail is of another release keeps its question and text."""
    detail = _read(turn.detail)
    return Exchange(
        turn.question, turn.collection, turn.answer, detail.query, detail.hits, detail.decision, detail.answer,
        detail.is_stopped, turn.created_at,
    )  # fmt: skip


def _read(detail: Mapping[str, object]) -> _Detail:
    try:
        return read(_Detail, detail)
    except BadRequest:
        return _Detail()


def rounds_of(exchanges: Iterable[Exchange], limit: int) -> list[Round]:
    """The last rounds that a follow-up question may refer to; those that were stopped before a word are left out."""
    rounds = [Round(e.question, e.text) for e in exchanges if e.text]
    return rounds[-limit:] if limit > 0 else []
