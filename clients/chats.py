"""What the Index service keeps of conversations."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Turn:
    """A finished round of a conversation.

    Attributes:
        detail: what the page needs to show it again: citations, decision, timings.
    """

    chat_id: str
    question: str
    answer: str
    collection: str = ""
    created_at: float = 0.0
    detail: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChatId:
    """Names a chat."""

    id: str


@dataclass(frozen=True, slots=True)
class Turns:
    """The rounds of a chat, oldest first."""

    turns: list[Turn]


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat in the list: its first question is its title."""

    id: str
    title: str
    collection: str
    num_turns: int
    updated_at: float


@dataclass(frozen=True, slots=True)
class Chats:
    """Chats, newest first."""

    chats: list[Chat]
