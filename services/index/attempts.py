"""Which documents was a process busy with when it died, and how often did that happen to one?"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from .schema import Database

MAX_TRIES = 3
# How many documents are worked on together that so many processes died with. A death leaves up to a thousand suspects;
# one by one, each with a commit of every store, they came at three a second.
TOGETHER = (None, 32, 1)
REASON = f"the service ended {MAX_TRIES} times while it worked on this document"
FIX = "look at 'ragq logs index' for what ended it; split the file or add it as plain text, then retry it"


class Attempts:
    """Work that is begun stays on record until it is over, however it comes out; only a death of the process leaves it.

    So a document that kills whoever touches it fails with a reason, and the service does not die of it for ever. That
    work is over is written with what comes next: it costs no transaction of its own.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._begun: list[str] = []
        self._over: list[str] = []

    @contextmanager
    def at(self, ids: Sequence[str], note: Callable[[], None]) -> Iterator[None]:
        """Work on documents within the ``with`` statement; ``note`` writes in the transaction that begins it."""
        with self._database.write() as tx:
            self._clear(tx, self._over)
            self._over = []
            tx.executemany(
                """INSERT INTO attempts SELECT id, 1 FROM documents WHERE id = ?
                ON CONFLICT DO UPDATE SET tries = tries + 1""",
                [(id_,) for id_ in ids],
            )
            note()
        self._begun = list(ids)
        try:
            yield
        finally:
            self._over, self._begun = self._begun, []

    def close(self) -> None:
        """This process ends in good order, maybe in the midst of work: that is no document's fault."""
        if not self._over and not self._begun:
            return
        with self._database.write() as tx:
            self._clear(tx, self._over)
            tx.executemany(
                "UPDATE attempts SET tries = tries - 1 WHERE document_id = ?", [(id_,) for id_ in self._begun]
            )

    def pardon(self, id_: str) -> None:
        """Nothing is held against a document any more."""
        with self._database.write() as tx:
            self._clear(tx, [id_])

    def tries(self, ids: Sequence[str]) -> dict[str, int]:
        """How many processes have died with each of the documents; those with none are left out."""
        rows = self._database.read().execute(
            "SELECT * FROM attempts WHERE tries > 0 AND document_id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(ids)),),
        )
        over = set(self._over)
        return {row["document_id"]: row["tries"] for row in rows if row["document_id"] not in over}

    def _clear(self, tx: sqlite3.Connection, ids: Iterable[str]) -> None:
        tx.executemany("DELETE FROM attempts WHERE document_id = ?", [(id_,) for id_ in ids])
