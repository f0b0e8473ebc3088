"""Which ingest jobs there are, and where each of them stands."""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass

from clients.errors import BadRequest, NotFound
from clients.index import Chunking, JobRecord, JobStatus
from clients.ingest import JobKind
from clients.wire import Clock

from .chunking import of_record, values_of
from .documents import SELECT, Documents, Incoming
from .generations import give_up
from .reports import settled, told
from .schema import Database

MAX_JOBS = 50
MAX_KEPT = 1000
# By collection and status, as an index has them: documents that are settled are not looked at.
FORGOTTEN = """WHERE d.collection_id IN (SELECT id FROM collections)
AND d.status IN ('queued', 'parsing', 'chunking', 'embedding')
AND NOT EXISTS (SELECT 1 FROM job_items i WHERE i.document_id = d.id AND i.outcome = '')"""


@dataclass(frozen=True, slots=True)
class OpenJob:
    """A job with work left.

    Attributes:
        model: what a collection is embedded anew by; empty for a job that adds documents.
    """

    id: str
    collection_id: int
    collection: str
    chunking: Chunking
    model: str = ""


class Jobs:
    """Jobs on record; an item is one document of one job."""

    def __init__(self, database: Database, documents: Documents, clock: Clock) -> None:
        self._database = database
        self._documents = documents
        self._clock = clock

    def open(
        self,
        tx: sqlite3.Connection,
        collection_id: int,
        collection: str,
        chunking: Chunking,
        kind: JobKind = "add",
        *,
        model: str = "",
    ) -> OpenJob:
        """Put a new job on record; its items follow in the same transaction."""
        job = OpenJob(secrets.token_hex(8), collection_id, collection, chunking, model)
        now = self._clock()
        tx.execute(
            """INSERT INTO jobs
            (id, collection_id, collection, status, size, overlap, by_line, strategy, stage, created_at, updated_at,
            model, kind) VALUES (?, ?, ?, 'queued', ?, ?, ?, ?, 'waiting for its turn', ?, ?, ?, ?)""",
            (job.id, collection_id, collection, *values_of(chunking), now, now, model, kind),
        )
        return job

    def add(self, tx: sqlite3.Connection, job: OpenJob, new: Incoming, item_key: int = 0) -> str:
        """Add a document to a job; one that is there already with the same content counts as unchanged.

        Args:
            tx: the transaction.
            job: made by `open` or still unfinished.
            new: the document.
            item_key: the item of a file that was taken in; 0 makes a new item.

        Returns:
            The document's id.
        """
        id_, has_work = self._documents.take(tx, job.collection_id, job.collection, new, job.chunking)
        if not has_work or (item_key and self._has_item(tx, job.id, id_)):
            tx.execute("DELETE FROM job_items WHERE key = ?", (item_key,))
            tx.execute("UPDATE jobs SET unchanged = unchanged + 1 WHERE id = ?", (job.id,))
        elif item_key:
            tx.execute(
                "UPDATE job_items SET document_id = ?, size_bytes = ? WHERE key = ?", (id_, new.size_bytes, item_key)
            )
        else:
            self._insert(tx, job.id, id_, new)
        return id_

    def wait_for(self, tx: sqlite3.Connection, job: OpenJob, document_id: str, new: Incoming) -> None:
        """Let a job end no sooner than a document that is on record already."""
        self._insert(tx, job.id, document_id, new)

    def _has_item(self, tx: sqlite3.Connection, job_id: str, document_id: str) -> bool:
        """Whether a job waits for a document already: another of its files or pages has the same content."""
        found = tx.execute(
            "SELECT 1 FROM job_items WHERE job_id = ? AND document_id = ? AND outcome = ''", (job_id, document_id)
        )
        return found.fetchone() is not None

    def _insert(self, tx: sqlite3.Connection, job_id: str, document_id: str, new: Incoming) -> None:
        tx.execute(
            """INSERT INTO job_items (job_id, document_id, name, size_bytes) SELECT ?, ?, ?, ?
            WHERE NOT EXISTS (SELECT 1 FROM job_items WHERE job_id = ? AND document_id = ? AND outcome = '')""",
            (job_id, document_id, new.name, new.size_bytes, job_id, document_id),
        )

    def unfinished(self) -> list[OpenJob]:
        """Jobs with work left, oldest first."""
        rows = self._database.read().execute("SELECT * FROM jobs WHERE status IN ('queued', 'running') ORDER BY number")
        return [OpenJob(r["id"], r["collection_id"], r["collection"], of_record(r), r["model"]) for r in rows]

    def adopt(self) -> int:
        """Give unfinished documents that no job waits for to new jobs, and forget old jobs; how many there were."""
        with self._database.write() as tx:
            tx.execute(
                """DELETE FROM jobs WHERE status NOT IN ('queued', 'running')
                AND number <= (SELECT max(number) FROM jobs) - ?""",
                (MAX_KEPT,),
            )
            rows = tx.execute(f"{SELECT} {FORGOTTEN}").fetchall()
            for row in rows:
                self._reopen(tx, row, "resume")
        return len(rows)

    def retry(self, document_id: str) -> OpenJob:
        """A new job for a document that failed or was cancelled; BadRequest when it is ready.

        One that is on its way already is waited for: the same call may come twice.
        """
        document = self._documents.get(document_id)
        if document.status == "ready":
            raise BadRequest(f"{document.name} is ready; only a failed or cancelled document can be retried")
        with self._database.write() as tx:
            if document.status in ("failed", "cancelled"):
                self._documents.requeue(tx, document_id)
            row = tx.execute(
                f"{SELECT} WHERE d.id = ?",
                (document_id,),
            ).fetchone()
            return self._reopen(tx, row, "retry")

    def redo(self, document_id: str, kind: JobKind) -> OpenJob:
        """A new job for a document that is called ready, and is to be made anew from its original."""
        with self._database.write() as tx:
            self._documents.requeue(tx, document_id)
            row = tx.execute(f"{SELECT} WHERE d.id = ?", (document_id,)).fetchone()
            job = self._reopen(tx, row, kind)
        self.finish(job.id)
        return job

    def _reopen(self, tx: sqlite3.Connection, row: sqlite3.Row, kind: JobKind) -> OpenJob:
        chunking = of_record(row)
        job = self.open(tx, row["collection_id"], row["collection"], chunking, kind)
        self._insert(tx, job.id, row["id"], Incoming(row["name"], row["media_type"], row["sha256"], row["size_bytes"]))
        return job

    def is_open(self, job_id: str) -> bool:
        """Whether a job still has somebody who wants it."""
        row = (
            self._database.read()
            .execute("SELECT 1 FROM jobs WHERE id = ? AND status IN ('queued', 'running')", (job_id,))
            .fetchone()
        )
        return row is not None

    def note(self, job_id: str, stage: str, document: str = "") -> None:
        """Say what a job is doing, and with which document."""
        with self._database.write() as tx:
            tx.execute(
                """UPDATE jobs SET status = 'running', stage = ?,
                document = coalesce(nullif(?, ''), document), updated_at = ?
                WHERE id = ? AND status IN ('queued', 'running')""",
                (stage, document, self._clock(), job_id),
            )

    def worked(self, job_id: str, seconds: float) -> None:
        """Count seconds of work that went into a job."""
        with self._database.write() as tx:
            tx.execute("UPDATE jobs SET elapsed_s = elapsed_s + ? WHERE id = ?", (seconds, job_id))

    def finish(self, job_id: str) -> bool:
        """End a job that has nothing left to do; False while it has."""
        with self._database.write() as tx:
            left = tx.execute("SELECT 1 FROM job_items WHERE job_id = ? AND outcome = '' LIMIT 1", (job_id,)).fetchone()
            if left:
                return False
            counts = settled(tx, job_id)
            failed = counts.num_failed > 0 and counts.num_done == 0
            reason = _first_reason(tx, job_id) if counts.num_failed else ""
            tx.execute(
                """UPDATE jobs SET status = ?, stage = '', document = '', reason = ?, updated_at = ?
                WHERE id = ? AND status IN ('queued', 'running')""",
                ("failed" if failed else "succeeded", reason, self._clock(), job_id),
            )
        return True

    def cancel(self, job_id: str) -> None:
        """End a job; its unfinished documents are cancelled unless another job wants them too."""
        self.get(job_id)
        with self._database.write() as tx:
            open_items = tx.execute(
                "SELECT document_id FROM job_items WHERE job_id = ? AND outcome = ''", (job_id,)
            ).fetchall()
            tx.execute("UPDATE job_items SET outcome = 'cancelled' WHERE job_id = ? AND outcome = ''", (job_id,))
            for (id_,) in open_items:
                wanted = tx.execute("SELECT 1 FROM job_items WHERE document_id = ? AND outcome = ''", (id_,)).fetchone()
                if id_ and not wanted:
                    self._documents.settle(tx, id_, "cancelled", "the job was cancelled", "add or retry it to go on")
            give_up(tx, job_id=job_id)
            _end(tx, job_id=job_id, reason="cancelled by a caller", now=self._clock())

    def end(self, tx: sqlite3.Connection, job_id: str, reason: str = "") -> None:
        """A re-index succeeded, or failed for a reason, and leaves nothing behind."""
        give_up(tx, job_id=job_id)
        _end(tx, job_id=job_id, status="failed" if reason else "succeeded", reason=reason, now=self._clock())

    def cancel_collection(self, tx: sqlite3.Connection, collection_id: int) -> None:
        """End the jobs of a collection that goes away."""
        # Who waits for a document of a collection is a job of that collection.
        tx.execute(
            """UPDATE job_items SET outcome = 'cancelled', reason = 'the collection was deleted'
            WHERE outcome = '' AND job_id IN (SELECT id FROM jobs WHERE collection_id = ?)""",
            (collection_id,),
        )
        _end(tx, collection_id=collection_id, reason="the collection was deleted", now=self._clock())

    def get(self, job_id: str) -> JobRecord:
        """A job as it stands; NotFound."""
        row = self._database.read().execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if row is None:
            raise NotFound(f"there is no job '{job_id}'")
        return told(self._database.read(), row)

    def newest(self) -> list[JobRecord]:
        """The newest jobs, newest first."""
        read = self._database.read()
        rows = read.execute("SELECT * FROM jobs ORDER BY number DESC LIMIT ?", (MAX_JOBS,)).fetchall()
        return [told(read, row) for row in rows]


def _first_reason(tx: sqlite3.Connection, job_id: str) -> str:
    row = tx.execute(
        "SELECT name, reason FROM job_items WHERE job_id = ? AND outcome = 'failed' ORDER BY key LIMIT 1", (job_id,)
    ).fetchone()
    return f"{row['name']}: {row['reason']}"


def _end(
    tx: sqlite3.Connection,
    *,
    job_id: str = "",
    collection_id: int = 0,
    status: JobStatus = "cancelled",
    reason: str,
    now: float,
) -> None:
    tx.execute(
        """UPDATE jobs SET status = ?, stage = '', document = '', reason = ?, updated_at = ?
        WHERE (id = ? OR collection_id = ?) AND status IN ('queued', 'running')""",
        (status, reason, now, job_id, collection_id),
    )
