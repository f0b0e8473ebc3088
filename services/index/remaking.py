"""How far is a re-index that runs, and are the vectors that it has made so far right?"""

from __future__ import annotations

from clients.checkup import Remaking
from clients.errors import RagqError

from .catalog import Catalog, Shelf
from .probing import Prober
from .shadows import Shadow, Shadows
from .stores.base import VectorStore

RECORDED = """SELECT DISTINCT c.entry FROM chunks c JOIN documents d ON d.id = c.document_id
JOIN vectors v ON v.chunk_key = c.key AND v.generation = ?
WHERE d.collection_id = ? AND d.status = 'ready' AND c.is_enabled"""


class Onlooker:
    """Looks at the shadows of collections; see `services.index.shadows`.

    What a shadow lacks in the store is no fault: it is written before the shadow takes its place, and what is too much
    is taken out then.
    """

    def __init__(self, catalog: Catalog, store: VectorStore, prober: Prober) -> None:
        self._catalog = catalog
        self._store = store
        self._prober = prober
        self._shadows = Shadows(catalog.database)

    def of(self, shelf: Shelf) -> Shadow | None:
        """The re-index of a collection, if one runs."""
        return self._shadows.of(shelf.id)

    def state(self, shadow: Shadow) -> Remaking:
        """How far it is."""
        new = shadow.shelf
        wanted, recorded = self._catalog.documents.entries.wanted(new.id), self._recorded(shadow)
        held = self._store.ids(new.store_key)
        return Remaking(new.name, new.model, shadow.job_id, len(wanted), len(recorded & wanted), len(held & wanted))

    def probed(self, shadow: Shadow) -> list[str]:
        """Ids of the entries that the store should be asked for."""
        return sorted(self._recorded(shadow) & self._store.ids(shadow.shelf.store_key))

    def wrong(self, shadow: Shadow, ids: list[str]) -> list[str]:
        """Those that the store gives back wrong; none when the re-index has ended meanwhile."""
        try:
            return self._prober.wrong(shadow.shelf, ids)
        except RagqError:
            if self._shadows.is_wanted(shadow):
                raise
            return []

    def _recorded(self, shadow: Shadow) -> set[str]:
        rows = self._catalog.database.read().execute(RECORDED, (shadow.shelf.generation, shadow.shelf.id))
        return {row[0] for row in rows}
