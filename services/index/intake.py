"""Which files of the service's own disk may come in, and how they do."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from clients.config import Index
from clients.errors import BadRequest, Forbidden, NotFound, TooLarge

from .catalog import Catalog
from .documents import Incoming
from .items import Source
from .jobs import OpenJob
from .loaders import CHILD_KINDS, Unreadable, decode, is_installed, kind_of, refused
from .originals import Originals

SNIFF_BYTES = 64 << 10
MAX_FILES = 100_000


@dataclass(frozen=True, slots=True)
class Listed:
    """A file to take in, with the name to show for it."""

    path: Path
    name: str
    size_bytes: int


def listed(paths: Sequence[str], roots: Sequence[str]) -> list[Listed]:
    """The files at paths, directories walked through, hidden ones left out.

    Raises:
        Forbidden: no roots are set, or a path leads out of them, by a link for example.
        NotFound: nothing is there.
        BadRequest: no files, or too many.
    """
    allowed = _allowed(roots)
    files = [file for path in paths for file in _walk(_inside(Path(path), allowed), allowed)]
    if not files:
        raise BadRequest("there are no files at " + ", ".join(paths), help="hidden files are left out")
    if len(files) > MAX_FILES:
        raise BadRequest(f"{len(files)} files; {MAX_FILES} can be added in one job", help="add directories one by one")
    return files


def listed_path(path: str, roots: Sequence[str]) -> Path:
    """A path that may be listed, without links.

    Raises:
        Forbidden: no roots are set, or it leads out of them.
        NotFound: nothing is there.
    """
    return _inside(Path(path), _allowed(roots))


def _allowed(roots: Sequence[str]) -> list[Path]:
    allowed = [Path(root).expanduser().resolve() for root in roots]
    if not allowed:
        raise Forbidden(
            "no directories of the service's disk are open to adding",
            help="set index.roots in ragq.yml, or upload the files",
        )
    return allowed


def _inside(path: Path, allowed: Sequence[Path]) -> Path:
    resolved = path.expanduser().resolve()
    if not _is_below(resolved, allowed):
        raise Forbidden(
            f"{path} is not below the directories that may be added: {', '.join(map(str, allowed))}",
            help="set index.roots in ragq.yml, or upload the file",
        )
    if not resolved.exists():
        raise NotFound(
            f"there is no file {path} on the service's disk", help="the path is read where the Index service runs"
        )
    return resolved


def _is_below(path: Path, allowed: Sequence[Path]) -> bool:
    return any(path.is_relative_to(root) for root in allowed)


def _walk(path: Path, allowed: Sequence[Path]) -> Iterator[Listed]:
    if path.is_file():
        yield Listed(path, path.name, path.stat().st_size)
        return
    for directory, folders, names in os.walk(path, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(directory, name)
            if name.startswith(".") or not file.is_file() or not _is_below(file.resolve(), allowed):
                continue
            yield Listed(file, str(file.relative_to(path)), file.stat().st_size)


class Intake:
    """Takes files in when their turn comes: their bytes are kept, so they may go away afterwards."""

    def __init__(self, catalog: Catalog, originals: Originals, settings: Index, max_bytes: int) -> None:
        self._catalog = catalog
        self._originals = originals
        self._roots = [Path(root).expanduser().resolve() for root in settings.roots]
        self._reads_pictures = settings.ocr != "never" and is_installed()
        self._max_bytes = max_bytes

    def take(self, job: OpenJob, source: Source) -> None:
        """Take one file in; what cannot be taken counts as failed in the job, with the reason."""
        try:
            content = self.content(Path(source.path), source.name)
        except OSError as error:
            self._catalog.items.fail(
                source.key, f"the file cannot be read: {error.strerror}", "check that it is still there"
            )
        except (Unreadable, TooLarge, Forbidden) as error:
            self._catalog.items.fail(source.key, error.message, error.help)
        else:
            with self._catalog.database.write() as tx:
                sha256 = self._originals.keep(tx, content)
                self._catalog.jobs.add(tx, job, Incoming(source.name, "", sha256, len(content)), source.key)

    def forget(self, digests: Sequence[str]) -> None:
        """Let go of contents that no document has any more."""
        self._originals.forget(digests)

    def content(self, path: Path, name: str) -> bytes:
        """The bytes of a file that may come in.

        Raises:
            OSError: it cannot be read.
            Forbidden: it is not below the allowed directories, or leads out of them.
            TooLarge: above the limit.
            Unreadable: nobody reads its format.
        """
        if not _is_below(path.resolve(), self._roots):
            raise Forbidden(
                "the file now leads out of the directories that may be added", help="set index.roots in ragq.yml"
            )
        check_size(path.stat().st_size, self._max_bytes)
        with path.open("rb") as file:
            head = file.read(SNIFF_BYTES)
            _refuse_unknown(head, name, reads_pictures=self._reads_pictures)
            return head + file.read()


def _refuse_unknown(head: bytes, name: str, *, reads_pictures: bool) -> None:
    """Unreadable for a format that nobody reads, before all of it is copied."""
    if not head.strip() or head.startswith(b"PK\x03\x04"):
        return
    kind = kind_of(head, name)
    if kind == "image" and not reads_pictures:
        raise refused(head)
    if kind not in CHILD_KINDS:
        decode(head)


def check_size(size_bytes: int, max_bytes: int) -> None:
    """TooLarge above the limit."""
    if size_bytes > max_bytes:
        raise TooLarge(
            f"the file has {size_bytes / 1e6:.0f} MB; the limit is {max_bytes / 1e6:.0f} MB",
            help="split it, or raise index.max_file_mb",
        )
