"""Handlers by which a whole collection goes out and comes in."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from pathlib import Path

from clients.errors import TooLarge
from clients.index import JobRecord
from clients.packed import Manifest
from clients.transfer import EXPORT, IMPORT, PIECE_BYTES, Export, Exported, Import, Piece
from services.service import Call, serves

from .base import Handlers

MAX_IMPORT_BYTES = 256 << 30


class TransferHandlers(Handlers):
    """Export and import; a file lies in the data directory while it is on its way."""

    @serves(EXPORT)
    def export(self, request: Export, call: Call) -> Generator[Piece, None, Exported]:
        """Pack a collection, then send it."""
        with tempfile.TemporaryDirectory(dir=self.config.home / "files", prefix="export-") as directory:
            path = Path(directory, "collection")
            manifest = Manifest("", "")
            for step in self._parts.packer.pack(request, path):
                call.check()
                if isinstance(step, Manifest):
                    manifest = step
                else:
                    yield step
            total = path.stat().st_size
            with path.open("rb") as file:
                while data := file.read(PIECE_BYTES):
                    yield Piece(data, "receiving", file.tell(), total)
            return Exported(manifest.num_documents, manifest.num_chunks, total)

    @serves(IMPORT)
    def import_(self, request: Import, call: Call) -> JobRecord:
        """Take a file, then make a collection of it."""
        with tempfile.TemporaryDirectory(dir=self.config.home / "files", prefix="import-") as directory:
            path = Path(directory, "collection")
            self._receive(path, call)
            job = self._parts.unpacker.unpack(path, request.name, call)
        self._catalog.jobs.finish(job.id)
        self._parts.ingest.wake()
        return self._catalog.jobs.get(job.id)

    def _receive(self, path: Path, call: Call) -> None:
        with path.open("wb") as file:
            for piece in call.input:
                file.write(piece.data)
                if file.tell() > MAX_IMPORT_BYTES:
                    raise TooLarge(f"an import of more than {MAX_IMPORT_BYTES >> 30} GB")
