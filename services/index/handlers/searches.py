"""Handlers for the questions that people tried."""

from __future__ import annotations

import time

from clients import searches as contract
from clients.documents import CollectionName
from clients.wire import Nothing
from services.index.searches import SearchRecords
from services.service import Call, serves

from .base import Handlers


class SearchHistoryHandlers(Handlers):
    """Remember what was tried, and forget it."""

    @property
    def _searches(self) -> SearchRecords:
        return SearchRecords(self._parts.database, self.config.index.search_history, time.time)

    @serves(contract.PAST_SEARCHES)
    def past_searches(self, request: CollectionName, _call: Call) -> contract.PastSearches:
        """What was tried on a collection."""
        found = self._searches.of(self._catalog.shelf(request.name).id)
        return contract.PastSearches(found, is_kept=self.config.index.search_history > 0)

    @serves(contract.KEEP_SEARCHES)
    def keep_searches(self, request: contract.KeepSearches, _call: Call) -> Nothing:
        """Keep what was tried."""
        self._searches.keep(self._catalog.shelf(request.collection).id, request.texts)
        return Nothing()

    @serves(contract.FORGET_SEARCHES)
    def forget_searches(self, request: contract.ForgetSearches, _call: Call) -> Nothing:
        """Forget it."""
        self._searches.forget(self._catalog.shelf(request.collection).id, request.texts)
        return Nothing()
