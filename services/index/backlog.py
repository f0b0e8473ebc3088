"""Which documents of a job come next at each stage?"""

from __future__ import annotations

from .documents import Work, work_of
from .jobs import OpenJob
from .schema import Database

# Of a job of many files those are passed over that are not taken in yet, which takes an index of its own.
TO_OPEN = """SELECT d.* FROM job_items i INDEXED BY items_taken JOIN documents d ON d.id = i.document_id
WHERE i.job_id = :job AND i.outcome = '' AND i.document_id != '' AND d.status IN ('queued', 'parsing', 'chunking')
ORDER BY i.key LIMIT :limit"""
# Few documents are on their way at a time, and a job may have hundreds of thousands: CROSS JOIN begins with the few.
EMBEDDING = """SELECT d.* FROM documents d CROSS JOIN job_items i ON i.document_id = d.id AND i.outcome = ''
WHERE d.collection_id = :shelf AND d.status = 'embedding' AND i.job_id = :job"""
TO_EMBED = f"{EMBEDDING} AND d.num_embedded < d.num_chunks ORDER BY i.key LIMIT :limit"
TO_PUBLISH = f"{EMBEDDING} AND 0 < d.num_chunks AND d.num_embedded = d.num_chunks ORDER BY i.key LIMIT :limit"


class Backlog:
    """Documents that wait.

    A stage is asked for what it can work on: embedded documents that wait to be published hide none that are to be
    embedded, however many they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def to_open(self, job: OpenJob, limit: int) -> list[Work]:
        """Documents that have no chunks yet, in the order they came."""
        return self._found(TO_OPEN, job, limit)

    def to_embed(self, job: OpenJob, limit: int) -> list[Work]:
        """Documents that have chunks without vectors."""
        return self._found(TO_EMBED, job, limit)

    def to_publish(self, job: OpenJob, limit: int) -> list[Work]:
        """Documents all of whose chunks have vectors, and that are not in the stores."""
        return self._found(TO_PUBLISH, job, limit)

    def _found(self, query: str, job: OpenJob, limit: int) -> list[Work]:
        given = {"job": job.id, "shelf": job.collection_id, "limit": limit}
        return [work_of(row) for row in self._database.read().execute(query, given)]
