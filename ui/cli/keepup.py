"""How are directories of this machine followed: what is new or changed is sent when it has stopped growing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from clients.errors import BadRequest, RagqError
from clients.index import Chunking
from clients.mesh import Ragq

from . import show
from .progress import Summary, follow
from .sources import Files, collect

EVERY_S = 2.0
# Looking takes at most a twentieth of the time.
REST_TIMES = 20
Look = tuple[int, int]


class KeepUp:
    """Sends what changes in some paths, until somebody ends it.

    A document that this program sent goes when a newer version of its file is ready; what was there before stays.

    Args:
        mesh: the mesh.
        collection: where to.
        paths: files and directories.
        include: patterns, as for one look.
        chunking: how texts are cut.
    """

    def __init__(
        self, mesh: Ragq, collection: str, paths: Sequence[str], include: Sequence[str], chunking: Chunking
    ) -> None:
        self._mesh = mesh
        self._collection = collection
        self._paths = paths
        self._include = include
        self._chunking = chunking
        self._sent: dict[str, Look] = {}
        self._before: dict[str, Look] = {}
        self._own: dict[str, set[str]] = {}

    def run(self, wait: Callable[[float], object] = time.sleep) -> None:
        """Look and send, again and again; a mesh that is away is tried again at the next look."""
        while True:
            started = time.monotonic()
            try:
                self.look()
            except RagqError as error:
                show.note(f"not sent: {error.message}")
            wait(max(EVERY_S, REST_TIMES * (time.monotonic() - started)))

    def look(self) -> int:
        """Send what changed before the last look and not since; how many files that were."""
        try:
            files = collect(self._paths, self._include)
        except BadRequest:
            return 0  # there is no file yet, or no more
        now = {name: look for name, path in files.paths.items() if (look := _look(path))}
        changed = {name: look for name, look in now.items() if self._sent.get(name) != look}
        still = [name for name, look in changed.items() if self._before.get(name) == look]
        self._before = changed
        if still:
            self._send(files.only(still))
            self._sent.update({name: changed[name] for name in still})
        return len(still)

    def _send(self, files: Files) -> None:
        there = {name: self._ready(name) for name in files}
        summary = follow([self._mesh.index.add(self._collection, files=files, chunking=self._chunking)])
        for name in files:
            self._replace(name, self._ready(name) - there[name])
        _tell(files, summary)

    def _replace(self, name: str, new: set[str]) -> None:
        if new:
            for id_ in self._own.get(name, set()):
                self._mesh.index.delete_document(id_)
            self._own[name] = new

    def _ready(self, name: str) -> set[str]:
        """Ids of ready documents of this very name."""
        if self._collection not in {each.name for each in self._mesh.index.collections()}:
            return set()
        found = self._mesh.index.documents(self._collection, keyword=name, status="ready").documents
        return {document.id for document in found if document.name == name}


def _look(path: Path) -> Look | None:
    try:
        state = path.stat()
    except OSError:
        return None  # it went away while the directory was read
    return state.st_mtime_ns, state.st_size


def _tell(files: Files, summary: Summary) -> None:
    for document in summary.failures:
        click.echo(f"failed: {document.name}: {document.reason}", err=True)
    names = ", ".join(show.snippet(name, 40) for name in list(files)[:3])
    click.echo(f"sent {names}{' …' if len(files) > 3 else ''}: {summary.num_documents - summary.num_failed} added")
