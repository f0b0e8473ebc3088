"""Does the server still hold every vector of the records, and what mends it when it came back without them?"""

from __future__ import annotations

import logging

from clients.errors import StoreAway

from .catalog import Catalog
from .labour import Labour, Rest
from .publishing import Publisher
from .stores.server import ChromaServer

log = logging.getLogger(__name__)


class Keeper(Labour):
    """A thread of the leader that looks after a server of vectors.

    A server that was filled has a mark whose id is on record. One with another mark, or none, has lost its disk, or is
    another server: everything is compared and written anew from the records.
    """

    def __init__(self, catalog: Catalog, server: ChromaServer, publisher: Publisher, rest: Rest) -> None:
        self._changes = catalog.changes
        self._server = server
        self._publisher = publisher
        self._was_compared = False
        self._is_away = False
        super().__init__("keeper", rest)

    def turn(self) -> bool:
        """Look once; never more to do at once."""
        try:
            self._look()
        except StoreAway as error:
            if not self._is_away:
                log.warning("%s; what is added and deleted waits. %s", error.message, error.help)
            self._is_away = True
        else:
            if self._is_away:
                log.warning("the vector store's server is back")
            self._is_away = False
        return False

    def _look(self) -> None:
        if self._was_compared and self._server.mark() == self._changes.mark != "":
            self._publisher.sweep()
            return
        # A server that loses its disk while it is filled loses this mark too.
        mark = self._server.set_mark()
        if self._changes.mark != mark:
            self._changes.keep_mark("")
        for line in self._publisher.reconcile():
            log.warning("mended %s", line)
        if self._server.mark() == mark:
            self._changes.keep_mark(mark)
            self._was_compared = True
