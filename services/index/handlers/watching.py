"""Handlers that have directories followed."""

from __future__ import annotations

from clients import watching as contract
from clients.wire import Nothing
from services.index.intake import listed_path
from services.service import Call, serves

from .adding import AddingHandlers


class WatchHandlers(AddingHandlers):
    """Follow, list, follow no longer."""

    @serves(contract.WATCH)
    def watch(self, request: contract.WatchFolder, _call: Call) -> contract.Watch:
        """Follow a path from now on."""
        path = listed_path(request.path, self.config.index.roots)
        shelf = self._shelf(request.collection, request.chunking)
        follower = self._parts.follower
        id_ = follower.records.put(shelf.id, path, request.chunking, removes=request.removes)
        follower.soon()
        return next(watch for watch in follower.records.shown() if watch.id == id_)

    @serves(contract.UNWATCH)
    def unwatch(self, request: contract.WatchId, _call: Call) -> Nothing:
        """Follow a path no longer."""
        self._parts.follower.records.forget(request.id)
        return Nothing()

    @serves(contract.WATCHES)
    def watches(self, _request: Nothing, _call: Call) -> contract.Watches:
        """What is followed."""
        return contract.Watches(self._parts.follower.records.shown())
