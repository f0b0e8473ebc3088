"""Handlers for what was asked and answered before."""

from __future__ import annotations

from clients import index as contract
from clients.wire import Nothing
from services.service import Call, serves

from .base import Handlers


class ChatHandlers(Handlers):
    """Chats and their rounds."""

    @serves(contract.SAVE_TURN)
    def save_turn(self, request: contract.Turn, _call: Call) -> Nothing:
        """Keep a finished round of a chat."""
        self._catalog.chats.save(request)
        return Nothing()

    @serves(contract.CHAT)
    def chat(self, request: contract.ChatId, _call: Call) -> contract.Turns:
        """The rounds of a chat."""
        return contract.Turns(self._catalog.chats.turns(request.id))

    @serves(contract.CHATS)
    def chats(self, _request: Nothing, _call: Call) -> contract.Chats:
        """Recent chats."""
        return contract.Chats(self._catalog.chats.chats())

    @serves(contract.DELETE_CHAT)
    def delete_chat(self, request: contract.ChatId, _call: Call) -> Nothing:
        """Forget a chat."""
        self._catalog.chats.delete(request.id)
        return Nothing()
