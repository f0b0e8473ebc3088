"""How far is a job, as those who wait for it are told?"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from typing import cast

from clients.index import Document, JobRecord, JobStatus
from clients.ingest import JobKind

MAX_FAILURES = 100
TALLY = """SELECT num_documents, num_done, num_failed, bytes_total, bytes_done, num_chunks
FROM job_tallies WHERE job_id = ?"""
# What is settled is tallied; the documents on their way are few.
UNDER_WAY = """SELECT coalesce(sum(i.size_bytes * d.num_embedded / d.num_chunks), 0) AS bytes_done,
    coalesce(sum(d.num_chunks), 0) AS num_chunks
FROM documents d CROSS JOIN job_items i ON i.document_id = d.id AND i.outcome = ''
WHERE d.collection_id = ? AND d.status = 'embedding' AND d.num_chunks > 0 AND i.job_id = ?"""
EMBEDDED = """SELECT coalesce(sum(num_documents), 0) AS num_documents, coalesce(sum(num_chunks), 0) AS num_chunks,
    coalesce(sum(size_bytes), 0) AS bytes_total
FROM document_tallies WHERE collection_id = ? AND status IN ('ready', 'embedding')"""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many documents a job has, and how far they are; see `clients.index.JobRecord`."""

    num_documents: int = 0
    num_done: int = 0
    num_failed: int = 0
    bytes_total: int = 0
    bytes_done: int = 0
    num_chunks: int = 0


def told(read: sqlite3.Connection, row: sqlite3.Row) -> JobRecord:
    """The record of a job, from its row."""
    if row["model"]:
        return _reindexing(read, row)
    counts = _counted(read, row)
    return JobRecord(
        id=row["id"], collection=row["collection"], status=cast("JobStatus", row["status"]),
        kind=cast("JobKind", row["kind"]), unchanged=row["unchanged"], stage=row["stage"], document=row["document"],
        elapsed_s=row["elapsed_s"], reason=row["reason"],
        failures=_failures(read, row) if counts.num_failed else [], num_documents=counts.num_documents,
        num_done=counts.num_done, num_failed=counts.num_failed, bytes_total=counts.bytes_total,
        bytes_done=counts.bytes_done, num_chunks=counts.num_chunks,
    )  # fmt: skip


def settled(read: sqlite3.Connection, job_id: str) -> Counts:
    """The counts of a job, without what is done of documents on their way."""
    tally = read.execute(TALLY, (job_id,)).fetchone()
    return Counts(*tally) if tally else Counts()


def _counted(read: sqlite3.Connection, row: sqlite3.Row) -> Counts:
    counts = settled(read, row["id"])
    if counts.bytes_done == counts.bytes_total:
        return counts
    way = read.execute(UNDER_WAY, (row["collection_id"], row["id"])).fetchone()
    return replace(counts, bytes_done=counts.bytes_done + way[0], num_chunks=counts.num_chunks + way[1])


def _reindexing(read: sqlite3.Connection, row: sqlite3.Row) -> JobRecord:
    """A re-index is as far with every document as it is with all chunks."""
    counts = read.execute(EMBEDDED, (row["collection_id"],)).fetchone()
    is_done = row["status"] == "succeeded"
    share = 1.0 if is_done else min(1.0, row["num_embedded"] / max(1, counts["num_chunks"]))
    return JobRecord(
        id=row["id"], collection=row["collection"], status=cast("JobStatus", row["status"]),
        num_documents=counts["num_documents"], num_done=counts["num_documents"] if is_done else 0,
        num_chunks=counts["num_chunks"], bytes_total=counts["bytes_total"],
        bytes_done=int(share * counts["bytes_total"]), stage=row["stage"], elapsed_s=row["elapsed_s"],
        reason=row["reason"], model=row["model"], kind="reindex",
    )  # fmt: skip


def _failures(read: sqlite3.Connection, row: sqlite3.Row) -> list[Document]:
    items = read.execute(
        """SELECT i.*, d.media_type, d.created_at, d.updated_at FROM job_items i LEFT JOIN documents d
        ON d.id = i.document_id WHERE i.job_id = ? AND i.outcome = 'failed' ORDER BY i.key LIMIT ?""",
        (row["id"], MAX_FAILURES),
    )
    return [
        Document(
            i["document_id"], row["collection"], i["name"], i["media_type"] or "", i["size_bytes"], "failed", 0,
            i["reason"], i["fix"], "", i["created_at"] or row["created_at"], i["updated_at"] or row["updated_at"],
        )
        for i in items
    ]  # fmt: skip
