"""Which page of a collection's documents does somebody look at?"""

from __future__ import annotations

from clients.errors import BadRequest
from clients.index import Documents, ListDocuments

from .documents import SELECT, document_of
from .schema import Database

MAX_PAGE = 1000
CHOSEN = "d.collection_id = :shelf"
NAMED = "instr(lower(d.name), lower(:keyword))"
STATUS = "d.status = :status"
# As an index has them: else a page of two hundred thousand documents takes two seconds to sort.
NEWEST = "ORDER BY d.created_at DESC, d.rowid DESC"
FAILED_FIRST = "ORDER BY d.status = 'failed' DESC, d.created_at DESC, d.rowid DESC"
TALLIED = """SELECT coalesce(sum(d.num_documents), 0) FROM document_tallies d"""


class Listing:
    """Pages of documents, failed ones first, then newest first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, collection_id: int, request: ListDocuments) -> Documents:
        """A page; BadRequest for one that cannot be."""
        if request.offset < 0 or not 1 <= request.limit <= MAX_PAGE:
            raise BadRequest(f"a page starts at 0 or later and holds 1 to {MAX_PAGE} documents")
        given = {
            "shelf": collection_id, "keyword": request.keyword, "status": request.status,
            "limit": request.limit, "offset": request.offset,
        }  # fmt: skip
        chosen = " AND ".join([CHOSEN, *[NAMED] * bool(request.keyword), *[STATUS] * bool(request.status)])
        order = NEWEST if request.status else FAILED_FIRST
        count = "SELECT count(*) FROM documents d" if request.keyword else TALLIED
        read = self._database.read()
        total = read.execute(f"{count} WHERE {chosen}", given).fetchone()[0]
        rows = read.execute(f"{SELECT} WHERE {chosen} {order} LIMIT :limit OFFSET :offset", given)
        return Documents([document_of(row) for row in rows], total)
