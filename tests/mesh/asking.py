"""Someone who asks for known notes all the time, and what came back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

from clients import Ragq, RagqError
from clients.index import Text

SUBJECTS = ("whales", "bees", "herons", "bridges", "lamps", "ferries", "violins", "glaciers", "comets", "looms")


def notes(count: int) -> list[Text]:
    """Texts of which each finds itself by its own words."""
    return [
        Text(f"{n}.txt", f"Note {n} tells what {SUBJECTS[n % 10]} do{n} in place{n} at hour{n}.") for n in range(count)
    ]


class Asker:
    """Asks by vectors alone and by everything, turn by turn, until it is told to end.

    Attributes:
        models: which embedding model answered, one search after another.
        wrong: what should never come back: no hit, another note, or one found by words alone.
        num_refused: calls that ended with an error, as they may while processes are killed.
    """

    def __init__(self, mesh: Ragq, collection: str, texts: list[str]) -> None:
        self._mesh, self._collection, self._texts = mesh, collection, texts
        self._has_begun, self._is_over = threading.Event(), threading.Event()
        self.models: list[str] = []
        self.wrong: list[str] = []
        self.num_refused = 0

    @property
    def num_changes(self) -> int:
        """How often another model answered than before."""
        return sum(a != b for a, b in pairwise(self.models))

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Ask in a thread while the block runs; the first answer is there when it begins."""
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            assert self._has_begun.wait(30)
            yield
        finally:
            self._is_over.set()
            thread.join()

    def _run(self) -> None:
        number = 0
        while not self._is_over.is_set():
            try:
                self._ask(self._texts[number % len(self._texts)])
            except RagqError:
                self.num_refused += 1
                self._is_over.wait(0.05)
            number += 7

    def _ask(self, text: str) -> None:
        dense = self._mesh.index.find(self._collection, text, 1, "dense", rerank=False)
        self.models.append(dense.model)
        self._has_begun.set()
        if [hit.text for hit in dense.hits] != [text] or abs(dense.hits[0].score - 1.0) > 1e-3:
            self.wrong.append(f"{text!r} by {dense.model}: {dense.hits}")
        whole = self._mesh.index.find(self._collection, text)
        if not whole.hits or whole.hits[0].text != text:
            self.wrong.append(f"{text!r} by everything: {whole.hits[:1]}, {whole.notes}")
        if not self.num_refused and any("words only" in note for note in whole.notes):
            self.wrong.append(f"{text!r}: {whole.notes}")
