"""How does a document become chunks on record: its bytes are opened, its text is cut."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from contextlib import suppress

from clients.errors import RagqError

from .chunking import chunk
from .documents import Documents, Gone, Work
from .loaders import Loaded, Unreadable
from .originals import Originals
from .scanning import Scanner, Told
from .schema import Database

SLICE = 2000
log = logging.getLogger(__name__)


class Preparer:
    """Opens and cuts documents, a group of small ones in one transaction."""

    def __init__(self, database: Database, documents: Documents, originals: Originals, scanner: Scanner) -> None:
        self._database = database
        self._documents = documents
        self._originals = originals
        self._scanner = scanner

    def prepare(self, group: Sequence[Work], told: Told) -> bool:
        """Bring queued documents to the stage of embedding; what cannot be read fails with the reason.

        Returns:
            False when pages of a document are left to be read: it, and those behind it, wait for the next turn.
        """
        self._documents.move([work.id for work in group], "parsing")
        opened = []
        is_done = True
        for work in group:
            loaded, is_done = self._open(work, told)
            if not is_done:
                break
            if loaded is not None:
                opened.append((work, loaded))
        self._cut_all(opened)
        return is_done

    def _cut_all(self, opened: Sequence[tuple[Work, Loaded]]) -> None:
        if len(opened) == 1:
            self._cut(*opened[0])
            return
        with self._database.write():
            for work, loaded in opened:
                self._cut(work, loaded)

    def _open(self, work: Work, told: Told) -> tuple[Loaded | None, bool]:
        """The text, and whether the document is opened or failed."""
        try:
            loaded = self._scanner.open(work, self._originals.read(work.sha256), told)
        except RagqError as error:
            self._documents.fail(work.id, error.message, error.help)
        except Exception as error:  # a document must end in a known state whatever its parser does
            log.exception("document %s could not be opened", work.id)
            self._documents.fail(
                work.id, f"the file could not be opened: {type(error).__name__}: {error}", "add it as plain text"
            )
        else:
            return loaded, loaded is not None
        return None, True

    def _cut(self, work: Work, loaded: Loaded) -> None:
        with suppress(Gone):
            try:
                self._write(work, loaded)
            except Unreadable as error:
                self._documents.fail(work.id, error.message, error.help)

    def _write(self, work: Work, loaded: Loaded) -> None:
        with self._database.write() as tx:
            self._documents.begin(tx, work.id)
        pieces = chunk(loaded, work.chunking)
        num_chunks = 0
        while part := list(itertools.islice(pieces, SLICE)):
            with self._database.write() as tx:
                self._documents.append(tx, work.id, num_chunks, part)
            num_chunks += len(part)
        if not num_chunks:
            raise Unreadable("there is no text in it", help="check that it opens and shows text")
        with self._database.write() as tx:
            self._documents.chunked(tx, work.id, num_chunks, loaded.media_type, loaded.language)
