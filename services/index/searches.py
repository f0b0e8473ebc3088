"""Which questions were tried on a collection, as far as they are to be remembered?"""

from __future__ import annotations

from collections.abc import Sequence

from clients.errors import BadRequest
from clients.searches import MAX_KEPT_AT_ONCE, MAX_KEPT_CHARS, PastSearch
from clients.wire import Clock

from .schema import Database


class SearchRecords:
    """Questions on record, each once for a collection.

    Args:
        database: the records.
        limit: how many of a collection are kept; 0 keeps none.
        clock: seconds since 1970.
    """

    def __init__(self, database: Database, limit: int, clock: Clock) -> None:
        self._database = database
        self._limit = limit
        self._clock = clock

    def of(self, collection_id: int) -> list[PastSearch]:
        """The questions of a collection, the last one first."""
        rows = self._database.read().execute(
            "SELECT text, searched_at, num_times FROM searches WHERE collection_id = ? ORDER BY key DESC LIMIT ?",
            (collection_id, self._limit),
        )
        return [PastSearch(row["text"], row["searched_at"], row["num_times"]) for row in rows]

    def keep(self, collection_id: int, texts: Sequence[str]) -> None:
        """Keep questions; one that is there already becomes the last one.

        Raises:
            BadRequest: too many, or one that is empty or too long.
        """
        if not 1 <= len(texts) <= MAX_KEPT_AT_ONCE:
            raise BadRequest(f"texts: 1 to {MAX_KEPT_AT_ONCE} questions")
        if any(not 1 <= len(text) <= MAX_KEPT_CHARS for text in texts):
            raise BadRequest(f"texts: a question has 1 to {MAX_KEPT_CHARS} characters")
        if not self._limit:
            return
        with self._database.write() as tx:
            for text in texts:
                before = tx.execute(
                    "DELETE FROM searches WHERE collection_id = ? AND text = ? RETURNING num_times",
                    (collection_id, text),
                ).fetchall()
                num_times = 1 + sum(row["num_times"] for row in before)
                tx.execute(
                    "INSERT INTO searches (collection_id, text, num_times, searched_at) VALUES (?, ?, ?, ?)",
                    (collection_id, text, num_times, self._clock()),
                )
        self.trim()

    def forget(self, collection_id: int, texts: Sequence[str]) -> None:
        """Forget some questions, or all of a collection."""
        with self._database.write() as tx:
            if not texts:
                tx.execute("DELETE FROM searches WHERE collection_id = ?", (collection_id,))
            tx.executemany(
                "DELETE FROM searches WHERE collection_id = ? AND text = ?", [(collection_id, text) for text in texts]
            )

    def trim(self) -> None:
        """Forget what is beyond the limit, which may have been another one before."""
        with self._database.write() as tx:
            tx.execute(
                """DELETE FROM searches WHERE key IN (SELECT key FROM (SELECT key,
                row_number() OVER (PARTITION BY collection_id ORDER BY key DESC) AS place FROM searches)
                WHERE place > ?)""",
                (self._limit,),
            )
