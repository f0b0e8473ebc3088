"""How are the members of a packed collection written and read: what is wrong in a file is named with its place."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

import numpy as np

from clients.errors import BadRequest
from clients.packed import FORMAT, MANIFEST, VECTORS, VERSION, Manifest
from clients.reading import read

MAX_LINE_BYTES = 16 << 20
MAX_MANIFEST_BYTES = 1 << 20
R = TypeVar("R")


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive; whatever is wrong inside it is a BadRequest."""
    try:
        with zipfile.ZipFile(path) as file:
            yield file
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError) as error:
        raise damaged(str(error)) from error


def manifest_of(file: zipfile.ZipFile) -> Manifest:
    """What the file says of itself; BadRequest when it is none of ours, or needs a newer reader."""
    try:
        info = file.getinfo(MANIFEST)
        if info.file_size > MAX_MANIFEST_BYTES:
            raise damaged(f"{MANIFEST} is too large")
        given = json.loads(file.read(info))
    except (KeyError, ValueError) as error:
        raise BadRequest(f"the file is no exported collection: {error}", help="ragq export writes one") from error
    if isinstance(given, dict) and isinstance(given.get("version"), int) and given["version"] > VERSION:
        raise BadRequest(
            f"the file has version {given['version']} of its format; this ragq knows {VERSION}",
            help="a newer ragq wrote it: update",
        )
    if not isinstance(given, dict) or given.get("format") != FORMAT:
        raise BadRequest("the file is no exported collection", help="ragq export writes one")
    return _record(Manifest, file.read(info), MANIFEST)


def json_line(record: dict[str, object]) -> bytes:
    """A record as a line."""
    return json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def lines_of(file: zipfile.ZipFile, name: str, cls: type[R]) -> Generator[R, None, None]:
    """The records of a member, one by one."""
    with _member(file, name) as lines:
        number = 0
        while line := lines.readline(MAX_LINE_BYTES):
            number += 1
            yield _record(cls, line, f"{name}:{number}")


def _record(cls: type[R], raw: bytes, place: str) -> R:
    try:
        return read(cls, json.loads(raw), place)
    except ValueError as error:
        raise damaged(f"{place} is not JSON: {error}") from error
    except BadRequest as error:
        raise damaged(error.message) from error


def rows_of(file: zipfile.ZipFile, manifest: Manifest) -> Generator[bytes, None, None]:
    """The vectors one by one; none when they are not to be taken over."""
    if not manifest.num_vectors:
        return
    width = 4 * manifest.dimension
    if manifest.num_vectors != manifest.num_chunks or not 0 < manifest.dimension <= 1 << 16:
        raise damaged(f"{manifest.num_vectors} vectors of {manifest.dimension} for {manifest.num_chunks} chunks")
    with _member(file, VECTORS) as raw:
        for _ in range(manifest.num_vectors):
            yield _vector(raw, width)


def _vector(raw: IO[bytes], width: int) -> bytes:
    row = raw.read(width)
    if len(row) != width or not np.isfinite(np.frombuffer(row, "<f4")).all():
        raise damaged(f"{VECTORS} is cut off, or holds what is no number")
    return row


def _member(file: zipfile.ZipFile, name: str) -> IO[bytes]:
    try:
        return file.open(name)
    except KeyError as error:
        raise damaged(f"it lacks {name}") from error


def damaged(what: str) -> BadRequest:
    """The refusal of a file in which something is wrong."""
    return BadRequest(f"the exported collection is damaged: {what}", help="export it again, or copy the file again")
