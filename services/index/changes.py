"""Has what a search may find in a collection changed, and which records are these?"""

from __future__ import annotations

from .schema import Database


class Changes:
    """Numbers that rise with each change, whichever process made it; SQLite's triggers count them.

    A number rises in the transaction that makes a change visible, and once more when the stores were swept after it. So
    who has seen a number has seen all that was said to be there before.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def number(self, collection_id: int) -> int:
        """A collection's number; 0 before the first change."""
        row = (
            self._database.read()
            .execute("SELECT number FROM changes WHERE collection_id = ?", (collection_id,))
            .fetchone()
        )
        return int(row[0]) if row else 0

    def touch(self, collection_id: int) -> None:
        """The stores were written without a change of the records."""
        with self._database.write() as tx:
            tx.execute(
                "INSERT INTO changes VALUES (?, 1) ON CONFLICT DO UPDATE SET number = number + 1", (collection_id,)
            )

    @property
    def name(self) -> str:
        """What these records are called, among all records there are: ``ragq-`` and 16 hexadecimal digits."""
        return str(self._database.read().execute("SELECT name FROM identity").fetchone()[0])

    @property
    def mark(self) -> str:
        """The mark of the server that holds every vector; empty while one is filled, or before there was one."""
        return str(self._database.read().execute("SELECT mark FROM identity").fetchone()[0])

    def keep_mark(self, mark: str) -> None:
        """That server holds every vector of the records, or will when the present work is done."""
        with self._database.write() as tx:
            tx.execute("UPDATE identity SET mark = ?", (mark,))
