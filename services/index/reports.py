"""How far is a job, as those who wait for it are told?"""

from __future__ import annotations

import sqlite3
from typing import cast

from clients.index import Document, JobRecord, JobStatus
from clients.ingest import JobKind

MAX_FAILURES = 100
COUNTS = """
SELECT count(*) AS num_documents, coalesce(sum(i.outcome = 'ready'), 0) AS num_done,
    coalesce(sum(i.outcome = 'failed'), 0) AS num_failed, coalesce(sum(i.size_bytes), 0) AS bytes_total,
    coalesce(sum(CASE WHEN i.outcome != '' THEN i.size_bytes
        WHEN d.num_chunks > 0 THEN i.size_bytes * d.num_embedded / d.num_chunks ELSE 0 END), 0) AS bytes_done,
    coalesce(sum(CASE WHEN i.outcome = 'ready' THEN i.num_chunks ELSE d.num_chunks END), 0) AS num_chunks
FROM job_items i LEFT JOIN documents d ON d.id = i.document_id WHERE i.job_id = ?
"""
EMBEDDED = """
SELECT count(*) AS num_documents, coalesce(sum(num_chunks), 0) AS num_chunks,
    coalesce(sum(size_bytes), 0) AS bytes_total
FROM documents WHERE collection_id = ? AND num_embedded > 0
"""


def told(read: sqlite3.Connection, row: sqlite3.Row) -> JobRecord:
    """The record of a job, from its row."""
    if row["model"]:
        return _reindexing(read, row)
    counts = read.execute(COUNTS, (row["id"],)).fetchone()
    return JobRecord(
        id=row["id"], collection=row["collection"], status=cast("JobStatus", row["status"]),
        kind=cast("JobKind", row["kind"]), unchanged=row["unchanged"], stage=row["stage"], document=row["document"],
        elapsed_s=row["elapsed_s"], reason=row["reason"],
        failures=_failures(read, row) if counts["num_failed"] else [], **dict(counts),
    )  # fmt: skip


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
