"""What the page's process holds for all its visitors: a mesh, and the answers under way."""

from __future__ import annotations

import secrets
from functools import partial

from clients.asking import AskOptions
from clients.mesh import Events, Ragq

from .exchanges import Exchange, exchange_of, rounds_of
from .runs import Run, Runs


class Desk:
    """One mesh and its runs; safe to use from many threads."""

    def __init__(self, mesh: Ragq) -> None:
        self.mesh = mesh
        self.runs = Runs(mesh.index.save_turn)

    def ask(self, chat_id: str, collection: str, question: str, wishes: AskOptions) -> Run:
        """Begin an answer that goes on whoever watches; Busy when the chat waits for one already."""
        events = partial(self._events, chat_id, collection, question, wishes)
        return self.runs.start(chat_id, question, collection, events)

    def _events(self, chat_id: str, collection: str, question: str, wishes: AskOptions) -> Events:
        rounds = self.mesh.config.ask.rounds if wishes.rounds is None else wishes.rounds
        history = rounds_of(self.exchanges(chat_id), rounds)
        return self.mesh.ask(collection, question, history, stream=True, **wishes.given())

    def exchanges(self, chat_id: str) -> list[Exchange]:
        """The stored rounds of a chat, oldest first."""
        return [exchange_of(turn) for turn in self.mesh.index.chat(chat_id)] if chat_id else []

    def current(self, chat_id: str) -> Run | None:
        """The run that a page has to show beside the stored rounds; one that is stored is let go."""
        run = self.runs.of(chat_id) if chat_id else None
        if run is not None and run.is_over and not run.has_failed:
            self.runs.forget(chat_id)
            return None
        return run


def new_chat_id() -> str:
    """An id that cannot be guessed: whoever knows it can read the chat."""
    return secrets.token_hex(8)
