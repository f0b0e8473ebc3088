"""How do the records know how many documents and items there are without counting them?

Whoever follows a job or looks at a collection asks twice a second, and to count two hundred thousand rows takes half a
second of a processor. SQLite's triggers keep the sums, whichever statement changes a row.
"""

from __future__ import annotations

_ADD_DOCUMENT = """INSERT INTO document_tallies
    VALUES (new.collection_id, new.status, 1, new.num_chunks, new.size_bytes)
    ON CONFLICT DO UPDATE SET num_documents = num_documents + 1, num_chunks = num_chunks + new.num_chunks,
    size_bytes = size_bytes + new.size_bytes;"""
_TAKE_DOCUMENT = """UPDATE document_tallies SET num_documents = num_documents - 1,
    num_chunks = num_chunks - old.num_chunks, size_bytes = size_bytes - old.size_bytes
    WHERE collection_id = old.collection_id AND status = old.status;"""
_ADD_ITEM = """INSERT INTO job_tallies VALUES (new.job_id, 1, new.outcome = 'ready', new.outcome = 'failed',
    new.size_bytes, iif(new.outcome = '', 0, new.size_bytes), iif(new.outcome = 'ready', new.num_chunks, 0))
    ON CONFLICT DO UPDATE SET num_documents = num_documents + 1, num_done = num_done + excluded.num_done,
    num_failed = num_failed + excluded.num_failed, bytes_total = bytes_total + excluded.bytes_total,
    bytes_done = bytes_done + excluded.bytes_done, num_chunks = num_chunks + excluded.num_chunks;"""
_TAKE_ITEM = """UPDATE job_tallies SET num_documents = num_documents - 1, num_done = num_done - (old.outcome = 'ready'),
    num_failed = num_failed - (old.outcome = 'failed'), bytes_total = bytes_total - old.size_bytes,
    bytes_done = bytes_done - iif(old.outcome = '', 0, old.size_bytes),
    num_chunks = num_chunks - iif(old.outcome = 'ready', old.num_chunks, 0) WHERE job_id = old.job_id;"""
_CHANGE_ITEM = """UPDATE job_tallies SET num_done = num_done + (new.outcome = 'ready') - (old.outcome = 'ready'),
    num_failed = num_failed + (new.outcome = 'failed') - (old.outcome = 'failed'),
    bytes_total = bytes_total + new.size_bytes - old.size_bytes,
    bytes_done = bytes_done + iif(new.outcome = '', 0, new.size_bytes) - iif(old.outcome = '', 0, old.size_bytes),
    num_chunks = num_chunks + iif(new.outcome = 'ready', new.num_chunks, 0)
    - iif(old.outcome = 'ready', old.num_chunks, 0) WHERE job_id = new.job_id;"""
# The indexes of this script are for what is asked at each step of a large job, and for the pages of a large collection.
TALLIES = f"""
CREATE TABLE document_tallies (
    collection_id INTEGER NOT NULL REFERENCES collections(id) ON DELETE CASCADE, status TEXT NOT NULL,
    num_documents INTEGER NOT NULL, num_chunks INTEGER NOT NULL, size_bytes INTEGER NOT NULL,
    PRIMARY KEY (collection_id, status)) WITHOUT ROWID;
CREATE TABLE job_tallies (
    job_id TEXT PRIMARY KEY REFERENCES jobs(id) ON DELETE CASCADE, num_documents INTEGER NOT NULL,
    num_done INTEGER NOT NULL, num_failed INTEGER NOT NULL, bytes_total INTEGER NOT NULL, bytes_done INTEGER NOT NULL,
    num_chunks INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO document_tallies SELECT collection_id, status, count(*), sum(num_chunks), sum(size_bytes) FROM documents
    WHERE collection_id IN (SELECT id FROM collections) GROUP BY collection_id, status;
INSERT INTO job_tallies SELECT job_id, count(*), sum(outcome = 'ready'), sum(outcome = 'failed'), sum(size_bytes),
    sum(iif(outcome = '', 0, size_bytes)), sum(iif(outcome = 'ready', num_chunks, 0)) FROM job_items
    WHERE job_id IN (SELECT id FROM jobs) GROUP BY job_id;
CREATE TRIGGER document_tallied AFTER INSERT ON documents BEGIN {_ADD_DOCUMENT} END;
CREATE TRIGGER document_tallied_anew AFTER UPDATE OF status, num_chunks, size_bytes ON documents
WHEN (old.status, old.num_chunks, old.size_bytes) != (new.status, new.num_chunks, new.size_bytes)
BEGIN {_TAKE_DOCUMENT} {_ADD_DOCUMENT} END;
CREATE TRIGGER document_not_tallied AFTER DELETE ON documents BEGIN {_TAKE_DOCUMENT} END;
CREATE TRIGGER item_tallied AFTER INSERT ON job_items BEGIN {_ADD_ITEM} END;
CREATE TRIGGER item_tallied_anew AFTER UPDATE OF outcome, size_bytes, num_chunks ON job_items
BEGIN {_CHANGE_ITEM} END;
CREATE TRIGGER item_not_tallied AFTER DELETE ON job_items BEGIN {_TAKE_ITEM} END;
DROP INDEX documents_of_collection;
CREATE INDEX documents_of_collection ON documents(collection_id, status, created_at);
CREATE INDEX documents_by_age ON documents(collection_id, status = 'failed', created_at);
CREATE INDEX items_taken ON job_items(job_id) WHERE outcome = '' AND document_id != '';
DROP INDEX items_of_job;
CREATE INDEX items_of_job ON job_items(job_id, outcome, document_id, url);
"""  # noqa: S608 - made of the constants above
