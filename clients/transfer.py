"""How a whole collection leaves a mesh as one file, and comes into another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .adding import Job
from .client import Client
from .errors import BadRequest
from .ingest import JobRecord
from .wire import Method, Nothing

PIECE_BYTES = 1 << 20
TIMEOUT_S = 24 * 3600.0
Told = Callable[[str, int, int], object]


@dataclass(frozen=True, slots=True)
class Export:
    """A collection to pack.

    Attributes:
        with_originals: the files as they came; without them documents cannot be cut anew.
        with_vectors: without them everything is embedded again where it comes in.
        with_testsets: the test sets that measure it, with their runs; an older ragq reads only files without any.
    """

    collection: str
    with_originals: bool = True
    with_vectors: bool = True
    with_testsets: bool = True


@dataclass(frozen=True, slots=True)
class Piece:
    """The next bytes of the file; ``num_done`` of ``num_total`` things of a stage, for progress."""

    data: bytes = b""
    stage: str = ""
    num_done: int = 0
    num_total: int = 0


@dataclass(frozen=True, slots=True)
class Exported:
    """What the file holds."""

    num_documents: int
    num_chunks: int
    num_bytes: int


@dataclass(frozen=True, slots=True)
class Import:
    """A file to unpack; an empty name means the name that the collection had."""

    name: str = ""


EXPORT = Method("index.export", Export, Exported, Piece)
IMPORT = Method("index.import", Import, JobRecord, Nothing, idempotent=False, input=Piece)
METHODS = (EXPORT, IMPORT)


class Transfers:
    """The part of the Index service's client that moves collections."""

    _client: Client

    def export_collection(
        self,
        collection: str,
        path: str | Path,
        *,
        with_originals: bool = True,
        with_vectors: bool = True,
        with_testsets: bool = True,
        on_progress: Told | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> Exported:
        """Write a collection to one file on this machine: originals, chunks, vectors, settings, test sets.

        The file appears whole or not at all. ``on_progress`` is told the stage and how far it is.

        Raises:
            NotFound: no such collection.
            BadRequest: the file cannot be written.
        """
        target = Path(path)
        part = target.with_name(target.name + ".part")
        request = Export(collection, with_originals, with_vectors, with_testsets)
        try:
            with self._client.stream(EXPORT, request, timeout_s=timeout_s) as pieces, part.open("wb") as file:
                for piece in pieces:
                    file.write(piece.data)
                    if on_progress is not None:
                        on_progress(piece.stage, piece.num_done, piece.num_total)
                exported = pieces.reply
            part.replace(target)
        except OSError as error:
            raise BadRequest(f"cannot write {target}: {error.strerror or error}") from error
        finally:
            part.unlink(missing_ok=True)
        return exported

    def import_collection(
        self,
        path: str | Path,
        name: str = "",
        *,
        on_progress: Told | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> Job:
        """Make a collection of a file that ``export_collection`` wrote.

        Returns:
            A job that is already queued; vectors are taken over when the mesh has the same embedding model, else
            the job makes new ones.

        Raises:
            AlreadyExists: a collection of that name is there.
            BadRequest: the file is no such file, is damaged, or cannot be read.
        """
        with self._client.stream(
            IMPORT, Import(name), input=_pieces(Path(path), on_progress), timeout_s=timeout_s
        ) as nothing:
            for _ in nothing:
                pass
            return Job(self._client, nothing.reply)


def _pieces(path: Path, on_progress: Told | None) -> Iterator[Piece]:
    try:
        total, done = path.stat().st_size, 0
        with path.open("rb") as file:
            while data := file.read(PIECE_BYTES):
                yield Piece(data)
                done += len(data)
                if on_progress is not None:
                    on_progress("sending", done, total)
    except OSError as error:
        raise BadRequest(f"cannot read {path}: {error.strerror or error}") from error
