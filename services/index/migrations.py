"""What makes the records of any earlier ragq those of this one: a script for each schema, run once, in order."""

from __future__ import annotations

from .tallies import TALLIES
from .triggers import DESCRIBED, NUMBERED

FIRST = """
CREATE TABLE collections (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, title TEXT NOT NULL,
    model TEXT NOT NULL DEFAULT '', dimension INTEGER NOT NULL DEFAULT 0, created_at REAL NOT NULL);
CREATE TABLE documents (
    id TEXT PRIMARY KEY, collection_id INTEGER NOT NULL REFERENCES collections(id) ON DELETE CASCADE,
    name TEXT NOT NULL, media_type TEXT NOT NULL, sha256 TEXT NOT NULL, size_bytes INTEGER NOT NULL,
    status TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', fix TEXT NOT NULL DEFAULT '',
    language TEXT NOT NULL DEFAULT '', num_chunks INTEGER NOT NULL DEFAULT 0,
    num_embedded INTEGER NOT NULL DEFAULT 0, size INTEGER NOT NULL, overlap INTEGER NOT NULL,
    by_line INTEGER NOT NULL, created_at REAL NOT NULL, updated_at REAL NOT NULL);
CREATE INDEX documents_of_collection ON documents(collection_id, status);
CREATE INDEX documents_of_content ON documents(sha256);
CREATE TABLE chunks (
    key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
    document_id TEXT NOT NULL REFERENCES documents(id) ON DELETE CASCADE, position INTEGER NOT NULL,
    text TEXT NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL, page INTEGER NOT NULL,
    heading TEXT NOT NULL, UNIQUE (document_id, position));
CREATE TABLE vectors (
    chunk_key INTEGER PRIMARY KEY REFERENCES chunks(key) ON DELETE CASCADE, vector BLOB NOT NULL);
CREATE TABLE originals (sha256 TEXT PRIMARY KEY, content BLOB NOT NULL);
CREATE TABLE stale_chunks (collection_id INTEGER NOT NULL, chunk_id TEXT NOT NULL,
    PRIMARY KEY (collection_id, chunk_id)) WITHOUT ROWID;
CREATE TABLE stale_collections (collection_id INTEGER PRIMARY KEY);
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, collection_id INTEGER NOT NULL,
    collection TEXT NOT NULL, status TEXT NOT NULL, size INTEGER NOT NULL, overlap INTEGER NOT NULL,
    by_line INTEGER NOT NULL, unchanged INTEGER NOT NULL DEFAULT 0, stage TEXT NOT NULL DEFAULT '',
    document TEXT NOT NULL DEFAULT '', elapsed_s REAL NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '',
    created_at REAL NOT NULL, updated_at REAL NOT NULL);
CREATE INDEX jobs_by_status ON jobs(status);
CREATE TABLE job_items (
    key INTEGER PRIMARY KEY, job_id TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE,
    document_id TEXT NOT NULL DEFAULT '', path TEXT NOT NULL DEFAULT '', name TEXT NOT NULL,
    size_bytes INTEGER NOT NULL, outcome TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '',
    fix TEXT NOT NULL DEFAULT '', num_chunks INTEGER NOT NULL DEFAULT 0);
CREATE INDEX items_of_job ON job_items(job_id, outcome);
CREATE INDEX items_of_document ON job_items(document_id, outcome);
CREATE TABLE turns (
    key INTEGER PRIMARY KEY, chat_id TEXT NOT NULL, question TEXT NOT NULL, answer TEXT NOT NULL,
    collection TEXT NOT NULL, created_at REAL NOT NULL, detail TEXT NOT NULL);
CREATE INDEX turns_of_chat ON turns(chat_id, key);
"""
# Chunks that a person changed: the text as it was cut, and the ids that they had before.
EDITS = """
ALTER TABLE chunks ADD COLUMN is_enabled INTEGER NOT NULL DEFAULT 1;
ALTER TABLE chunks ADD COLUMN as_cut TEXT;
CREATE TABLE former_chunks (
    id TEXT PRIMARY KEY, chunk_key INTEGER NOT NULL REFERENCES chunks(key) ON DELETE CASCADE) WITHOUT ROWID;
CREATE INDEX former_of_chunk ON former_chunks(chunk_key);
"""
# The stores hold each distinct content once: what they held by the ids of chunks is written anew.
SHARED = """
ALTER TABLE chunks ADD COLUMN entry TEXT NOT NULL DEFAULT '';
UPDATE chunks SET entry = entry_id(text, heading);
CREATE INDEX chunks_of_entry ON chunks(entry);
DROP TABLE stale_chunks;
CREATE TABLE stale_entries (collection_id INTEGER NOT NULL, entry TEXT NOT NULL,
    PRIMARY KEY (collection_id, entry)) WITHOUT ROWID;
"""
# What ragq calibrate fitted to a collection, for the models that it was fitted for.
FITTED = """
CREATE TABLE calibrations (
    collection_id INTEGER NOT NULL REFERENCES collections(id) ON DELETE CASCADE, embedder TEXT NOT NULL,
    reranker TEXT NOT NULL, revision TEXT NOT NULL, detail TEXT NOT NULL, created_at REAL NOT NULL,
    PRIMARY KEY (collection_id, embedder, reranker, revision)) WITHOUT ROWID;
"""
# Web pages: where a document came from, and which versions of a page there are.
PAGES = """
ALTER TABLE documents ADD COLUMN source TEXT NOT NULL DEFAULT '';
ALTER TABLE documents ADD COLUMN fetched_at REAL NOT NULL DEFAULT 0;
ALTER TABLE job_items ADD COLUMN url TEXT NOT NULL DEFAULT '';
CREATE TABLE pages (
    collection_id INTEGER NOT NULL, url TEXT NOT NULL,
    document_id TEXT NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
    etag TEXT NOT NULL, last_modified TEXT NOT NULL, fetched_at REAL NOT NULL,
    PRIMARY KEY (collection_id, url, document_id)) WITHOUT ROWID;
CREATE INDEX pages_of_document ON pages(document_id);
"""
# How a document is cut beside its size: by sentences, paragraphs or cells.
STRATEGIES = """
ALTER TABLE documents ADD COLUMN strategy TEXT NOT NULL DEFAULT 'sentences';
ALTER TABLE jobs ADD COLUMN strategy TEXT NOT NULL DEFAULT 'sentences';
"""
# Test sets: questions with what answers them, and how runs over them came out; they outlive their collection.
MEASURES = """
CREATE TABLE testsets (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, collection TEXT NOT NULL,
    created_at REAL NOT NULL, updated_at REAL NOT NULL);
CREATE TABLE questions (
    key INTEGER PRIMARY KEY AUTOINCREMENT, testset_id INTEGER NOT NULL REFERENCES testsets(id) ON DELETE CASCADE,
    text TEXT NOT NULL, detail TEXT NOT NULL, UNIQUE (testset_id, text));
CREATE TABLE runs (
    key INTEGER PRIMARY KEY AUTOINCREMENT, testset_id INTEGER NOT NULL REFERENCES testsets(id) ON DELETE CASCADE,
    detail TEXT NOT NULL, created_at REAL NOT NULL);
CREATE INDEX runs_of_testset ON runs(testset_id, key);
"""
# A re-index makes the vectors of the next generation beside the present ones.
GENERATIONS = """
ALTER TABLE collections ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN model TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN num_embedded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE vectors RENAME TO vectors_by_chunk;
CREATE TABLE vectors (
    chunk_key INTEGER NOT NULL REFERENCES chunks(key) ON DELETE CASCADE, generation INTEGER NOT NULL,
    vector BLOB NOT NULL, PRIMARY KEY (chunk_key, generation));
INSERT INTO vectors SELECT chunk_key, 0, vector FROM vectors_by_chunk ORDER BY chunk_key;
DROP TABLE vectors_by_chunk;
CREATE TABLE shadows (
    collection_id INTEGER PRIMARY KEY REFERENCES collections(id) ON DELETE CASCADE, generation INTEGER NOT NULL,
    model TEXT NOT NULL, dimension INTEGER NOT NULL, job_id TEXT NOT NULL);
CREATE TABLE stale_generations (
    collection_id INTEGER NOT NULL, generation INTEGER NOT NULL, is_in_store INTEGER NOT NULL,
    PRIMARY KEY (collection_id, generation)) WITHOUT ROWID;
INSERT INTO stale_generations SELECT collection_id, 0, 1 FROM stale_collections;
DROP TABLE stale_collections;
"""
# Pages that are pictures: what text recognition read on them.
SCANS = """
CREATE TABLE scans (
    sha256 TEXT NOT NULL, page INTEGER NOT NULL, lines TEXT NOT NULL, PRIMARY KEY (sha256, page)) WITHOUT ROWID;
"""
# Chunks that are found for the section around them.
FAMILIES = """
ALTER TABLE chunks ADD COLUMN parent INTEGER NOT NULL DEFAULT -1;
CREATE INDEX chunks_of_parent ON chunks(document_id, parent) WHERE parent >= 0;
"""
# Documents that a process was busy with: what is left of one that died.
TRIED = """
CREATE TABLE attempts (
    document_id TEXT PRIMARY KEY REFERENCES documents(id) ON DELETE CASCADE, tries INTEGER NOT NULL) WITHOUT ROWID;
"""
# Directories that are followed, and the files in them as they were taken over.
FOLLOWED = """
CREATE TABLE watches (
    id INTEGER PRIMARY KEY AUTOINCREMENT, collection_id INTEGER NOT NULL REFERENCES collections(id) ON DELETE CASCADE,
    path TEXT NOT NULL, removes INTEGER NOT NULL, size INTEGER NOT NULL, overlap INTEGER NOT NULL,
    by_line INTEGER NOT NULL, strategy TEXT NOT NULL, num_waiting INTEGER NOT NULL DEFAULT 0,
    checked_at REAL NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '', created_at REAL NOT NULL,
    UNIQUE (collection_id, path));
CREATE TABLE watched_files (
    watch_id INTEGER NOT NULL REFERENCES watches(id) ON DELETE CASCADE, path TEXT NOT NULL,
    mtime_ns INTEGER NOT NULL, size_bytes INTEGER NOT NULL, document_id TEXT NOT NULL, is_own INTEGER NOT NULL,
    former TEXT NOT NULL, PRIMARY KEY (watch_id, path)) WITHOUT ROWID;
CREATE INDEX watched_documents ON watched_files(document_id);
"""
# What a job was opened for.
KINDS = """
ALTER TABLE jobs ADD COLUMN kind TEXT NOT NULL DEFAULT 'add';
UPDATE jobs SET kind = 'web' WHERE id IN (SELECT job_id FROM job_items WHERE url != '');
UPDATE jobs SET kind = 'reindex' WHERE model != '';
"""
# Questions that people tried on a collection, to try them again.
TRIALS = """
CREATE TABLE searches (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    collection_id INTEGER NOT NULL REFERENCES collections(id) ON DELETE CASCADE, text TEXT NOT NULL,
    num_times INTEGER NOT NULL, searched_at REAL NOT NULL, UNIQUE (collection_id, text));
"""
MIGRATIONS = (
    FIRST,
    EDITS,
    SHARED,
    FITTED,
    PAGES,
    STRATEGIES,
    MEASURES,
    GENERATIONS,
    SCANS,
    NUMBERED,
    FAMILIES,
    TRIED,
    FOLLOWED,
    KINDS,
    TRIALS,
    DESCRIBED,
    TALLIES,
)
