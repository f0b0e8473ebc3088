"""How do the records count their changes, whichever process and whichever statement made them?

Each collection has a number that rises with whatever changes what a search may find in it. The records have a name of
their own besides, so that two of them never share a database of one server.
"""

from __future__ import annotations

NUMBERED = """
CREATE TABLE changes (collection_id INTEGER PRIMARY KEY, number INTEGER NOT NULL);
CREATE TABLE identity (name TEXT NOT NULL, mark TEXT NOT NULL DEFAULT '');
INSERT INTO identity (name) VALUES ('ragq-' || lower(hex(randomblob(8))));
CREATE TRIGGER document_became AFTER UPDATE OF status ON documents WHEN (old.status = 'ready') != (new.status = 'ready')
BEGIN INSERT INTO changes VALUES (new.collection_id, 1) ON CONFLICT DO UPDATE SET number = number + 1; END;
CREATE TRIGGER document_came AFTER INSERT ON documents WHEN new.status = 'ready'
BEGIN INSERT INTO changes VALUES (new.collection_id, 1) ON CONFLICT DO UPDATE SET number = number + 1; END;
CREATE TRIGGER document_went AFTER DELETE ON documents WHEN old.status = 'ready'
BEGIN INSERT INTO changes VALUES (old.collection_id, 1) ON CONFLICT DO UPDATE SET number = number + 1; END;
CREATE TRIGGER chunk_changed AFTER UPDATE OF entry, is_enabled ON chunks
BEGIN INSERT INTO changes SELECT collection_id, 1 FROM documents WHERE id = new.document_id AND status = 'ready'
    ON CONFLICT DO UPDATE SET number = number + 1; END;
CREATE TRIGGER chunk_came AFTER INSERT ON chunks
BEGIN INSERT INTO changes SELECT collection_id, 1 FROM documents WHERE id = new.document_id AND status = 'ready'
    ON CONFLICT DO UPDATE SET number = number + 1; END;
CREATE TRIGGER chunk_went AFTER DELETE ON chunks
BEGIN INSERT INTO changes SELECT collection_id, 1 FROM documents WHERE id = old.document_id AND status = 'ready'
    ON CONFLICT DO UPDATE SET number = number + 1; END;
CREATE TRIGGER entry_was_swept AFTER DELETE ON stale_entries
BEGIN INSERT INTO changes VALUES (old.collection_id, 1) ON CONFLICT DO UPDATE SET number = number + 1; END;
"""
# What a search may be limited by counts too.
DESCRIBED = """
CREATE TRIGGER document_described AFTER UPDATE OF name, media_type, source ON documents WHEN new.status = 'ready'
BEGIN INSERT INTO changes VALUES (new.collection_id, 1) ON CONFLICT DO UPDATE SET number = number + 1; END;
"""
