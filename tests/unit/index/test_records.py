"""Do the records, the originals and the lock hold what they promise?"""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

import pytest

from clients.errors import BackendError, BadRequest, NotFound, TooLarge
from clients.index import UPLOAD_PART_BYTES, UploadPart
from services.index.lock import DirectoryLock, Locked
from services.index.migrations import MIGRATIONS
from services.index.originals import ABANDONED_S, INLINE_BYTES, Originals, Uploads
from services.index.schema import Database


def test_records_of_a_newer_ragq_are_left_alone(tmp_path: Path) -> None:
    Database(tmp_path / "r.sqlite").close()
    with sqlite3.connect(tmp_path / "r.sqlite") as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 3}")
    connection.close()
    with pytest.raises(BackendError, match=f"have schema {len(MIGRATIONS) + 3}") as refused:
        Database(tmp_path / "r.sqlite")
    assert "newer ragq" in refused.value.help


def test_damaged_records_are_named(tmp_path: Path) -> None:
    (tmp_path / "r.sqlite").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(BackendError, match="cannot be opened"):
        Database(tmp_path / "r.sqlite")


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    database = Database(tmp_path / "r.sqlite")

    def half() -> None:
        with database.write() as tx:
            tx.execute("INSERT INTO originals VALUES ('a', 'b')")
            with database.write() as inner:
                inner.execute("INSERT INTO originals VALUES ('c', 'd')")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert database.read().execute("SELECT count(*) FROM originals").fetchone()[0] == 0
    with database.write() as tx:
        tx.execute("INSERT INTO originals VALUES ('a', 'b')")
    assert database.read().execute("SELECT count(*) FROM originals").fetchone()[0] == 1
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        database.read().execute("DELETE FROM originals")
    database.close()


@pytest.mark.parametrize("size", [10, INLINE_BYTES, INLINE_BYTES + 1])
def test_an_original_comes_back_as_it_was(tmp_path: Path, size: int) -> None:
    database = Database(tmp_path / "r.sqlite")
    originals = Originals(database, tmp_path / "files")
    content = bytes(i % 251 for i in range(size))
    with database.write() as tx:
        sha256 = originals.keep(tx, content)
        assert originals.keep(tx, content) == sha256
    assert originals.has(sha256)
    assert originals.read(sha256) == content
    originals.forget([sha256])
    assert not originals.has(sha256)
    with pytest.raises(BackendError, match="gone"):
        originals.read(sha256)
    database.close()


def test_a_damaged_original_is_noticed(tmp_path: Path) -> None:
    database = Database(tmp_path / "r.sqlite")
    originals = Originals(database, tmp_path / "files")
    with database.write() as tx:
        sha256 = originals.keep(tx, b"x" * (INLINE_BYTES + 1))
    originals.path(sha256).write_bytes(b"y")
    with pytest.raises(BackendError, match="damaged"):
        originals.read(sha256)
    database.close()


def part(content: bytes, offset: int, size: int = UPLOAD_PART_BYTES) -> UploadPart:
    return UploadPart(hashlib.sha256(content).hexdigest(), offset, len(content), content[offset : offset + size])


def test_an_upload_goes_on_where_it_stopped(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10
    uploads = Uploads(tmp_path, 1 << 20)
    assert uploads.write(part(content, 0, 1000)) == 1000
    again = Uploads(tmp_path, 1 << 20)
    assert again.write(part(content, 0, 1000)) == 1000
    assert again.write(part(content, 2000, 100)) == 1000
    with pytest.raises(BadRequest, match="not complete"):
        again.read(part(content, 0).upload_id, "a.txt")
    assert again.write(part(content, 900, 2000)) == len(content)
    assert again.read(part(content, 0).upload_id, "a.txt") == content


def test_an_upload_with_wrong_bytes_starts_over(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, 1 << 20)
    wrong = UploadPart("0" * 64, 0, 3, b"abc")
    with pytest.raises(BadRequest, match="digest"):
        uploads.write(wrong)
    with pytest.raises(NotFound):
        uploads.read("0" * 64, "a.txt")


def test_an_empty_file_can_be_uploaded(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, 1 << 20)
    assert uploads.write(part(b"", 0)) == 0
    assert uploads.read(part(b"", 0).upload_id, "a.txt") == b""


@pytest.mark.parametrize("id_", ["", "../../etc/passwd", "z" * 64, "0" * 63])
def test_an_upload_is_named_by_its_digest_only(tmp_path: Path, id_: str) -> None:
    with pytest.raises(BadRequest, match="sha256"):
        Uploads(tmp_path, 100).write(UploadPart(id_, 0, 1, b"x"))


def test_an_upload_above_the_limit_is_refused_at_its_first_part(tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match="limit is 1 MB"):
        Uploads(tmp_path, 1 << 20).write(UploadPart("0" * 64, 0, 5 << 20, b"x"))
    with pytest.raises(BadRequest, match="does not fit"):
        Uploads(tmp_path, 1 << 20).write(UploadPart("0" * 64, 3, 4, b"xx"))


def test_abandoned_uploads_are_swept(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, 100)
    uploads.write(part(b"half of it", 0, 4))
    now = next(tmp_path.iterdir()).stat().st_mtime
    uploads.sweep(now + ABANDONED_S - 60)
    assert list(tmp_path.iterdir())
    uploads.sweep(now + ABANDONED_S + 60)
    assert not list(tmp_path.iterdir())


def test_a_lock_is_free_after_its_owner(tmp_path: Path) -> None:
    first, second = DirectoryLock(tmp_path), DirectoryLock(tmp_path)
    first.acquire()
    with pytest.raises(Locked):
        second.acquire()
    first.release()
    second.acquire()
    second.release()
