"""Which contents have the words of a question: a BM25 index per collection, on disk, rebuildable at any time."""

from __future__ import annotations

import math
import shutil
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clients.errors import BackendError

from .entries import Entry
from .tokens import telling_tokens, tokens

HEAP_BYTES = 16 << 20
ANALYZER = "words"
VERSION = "2"
# To find 2,000 ids among 20,000 passages costs 3.4 ms, to read the ids of 400 matches 1.0.
FEW, MAX_SIFTED = 500, 2000


@dataclass(frozen=True, slots=True)
class Match:
    """An entry that contains words of the question; ``score`` is BM25, 0 and up."""

    id: str
    score: float


class KeywordIndex:
    """One collection's index.

    A damaged or outdated directory is emptied when it is opened; the caller compares ids with the
    records and fills in what is missing.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._analyzer = _analyzer()
        self._schema = _schema()
        self._index = self._open()
        self._writer: Any = None

    def _open(self) -> Any:
        import tantivy

        mark = self._directory / "version"
        if not mark.exists() or mark.read_text(encoding="ascii") != VERSION:
            self._empty()
        try:
            with sound("opened"):
                index = tantivy.Index(self._schema, path=str(self._directory))
        except BackendError:
            self._empty()
            index = tantivy.Index(self._schema, path=str(self._directory))
        index.register_tokenizer(ANALYZER, self._analyzer)
        return index

    def _empty(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(parents=True)
        (self._directory / "version").write_text(VERSION, encoding="ascii")

    def update(self, entries: Iterable[Entry] = (), gone: Iterable[str] = ()) -> None:
        """Add or replace entries and delete others, in one commit."""
        with self._lock:
            try:
                with sound("written"):
                    self._write(entries, gone)
            except BackendError:
                self._writer = None
                raise
            self._index.reload()

    def _write(self, entries: Iterable[Entry], gone: Iterable[str]) -> None:
        import tantivy

        writer = self._open_writer()
        for id_ in gone:
            writer.delete_documents_by_term("id", id_)
        for entry in entries:
            writer.delete_documents_by_term("id", entry.id)
            writer.add_document(tantivy.Document(id=entry.id, body=" ".join(tokens(entry.content))))
        writer.commit()

    def _open_writer(self) -> Any:
        if self._writer is None:
            self._writer = self._index.writer(HEAP_BYTES, 1)
        return self._writer

    def words(self, question: str) -> list[str]:
        """The telling tokens of a question as the index spells them."""
        return list(dict.fromkeys(self._analyzer.analyze(" ".join(telling_tokens(question)))))

    def spelled(self, text: str) -> set[str]:
        """All tokens of a text as the index spells them."""
        return set(self._analyzer.analyze(" ".join(tokens(text))))

    def search(self, question: str, k: int, among: Sequence[str] | None = None) -> list[Match]:
        """The ``k`` best entries for any of the question's words; the question is never read as a query language.

        Args:
            question: any text.
            k: how many.
            among: score these entries only; all when None.
        """
        import tantivy

        words = self.words(question)
        if not words or k < 1 or (among is not None and not among):
            return []
        any_word = tantivy.Query.boolean_query([(tantivy.Occur.Should, self._term(word)) for word in words])
        if among is None:
            return self._best(any_word, k)
        if len(among) > FEW and (found := self._sifted(any_word, k, among)) is not None:
            return found
        chosen = tantivy.Query.const_score_query(tantivy.Query.term_set_query(self._schema, "id", list(among)), 0.0)
        return self._best(
            tantivy.Query.boolean_query([(tantivy.Occur.Must, any_word), (tantivy.Occur.Must, chosen)]), k
        )

    def _sifted(self, query: Any, k: int, among: Sequence[str]) -> list[Match] | None:
        """The best of all of which enough are among the ids, twice as many as it would take; None when they are not."""
        depth = 2 * k * max(1, self.count() // len(among))
        if depth > MAX_SIFTED:
            return None
        found, wanted = self._best(query, depth), set(among)
        kept = [match for match in found if match.id in wanted]
        return kept[:k] if len(kept) >= k or len(found) < depth else None

    def _best(self, query: Any, k: int) -> list[Match]:
        with sound("searched"):
            searcher = self._index.searcher()
            hits = searcher.search(query, k, count=False).hits
            return [Match(searcher.doc(address)["id"][0], float(score)) for score, address in hits]

    def _term(self, word: str) -> Any:
        import tantivy

        return tantivy.Query.term_query(self._schema, "body", word, "freq")

    def rarity(self, words: Sequence[str]) -> dict[str, float]:
        """How much each word tells: its inverse document frequency, as in BM25."""
        searcher = self._index.searcher()
        total = searcher.num_docs
        counts = {word: searcher.doc_freq("body", word) for word in words}
        return {word: math.log(1 + (total - min(n, total) + 0.5) / (n + 0.5)) for word, n in counts.items()}

    def count(self) -> int:
        """How many entries there are."""
        return int(self._index.searcher().num_docs)

    def ids(self) -> set[str]:
        """The ids of all entries."""
        import tantivy

        searcher = self._index.searcher()
        total = int(searcher.num_docs)
        if not total:
            return set()
        with sound("listed"):
            hits = searcher.search(tantivy.Query.all_query(), total, count=False).hits
            return {searcher.doc(address)["id"][0] for _, address in hits}

    def reload(self) -> None:
        """Look at what another process committed last."""
        with sound("read"):
            self._index.reload()

    def close(self) -> None:
        """Finish what is being merged and let go of the writer; searching goes on."""
        with self._lock:
            if self._writer is not None:
                self._writer.wait_merging_threads()
                self._writer = None


class KeywordIndexes:
    """The indexes of all collections, opened when they are needed.

    A writer holds six threads and tens of megabytes, and with a hundred collections that was four
    gigabytes; so one index at a time has its writer open.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._open: dict[str, KeywordIndex] = {}
        self._writing: KeywordIndex | None = None

    def of(self, collection: str) -> KeywordIndex:
        """The index of a collection, by its name inside the stores, to search it."""
        with self._lock:
            if collection not in self._open:
                self._open[collection] = KeywordIndex(self._directory / collection)
            return self._open[collection]

    def update(self, collection: str, entries: Iterable[Entry] = (), gone: Iterable[str] = ()) -> None:
        """Add or replace entries of a collection and delete others, in one commit."""
        with self._write_lock:
            index = self.of(collection)
            if self._writing is not None and self._writing is not index:
                self._writing.close()
            self._writing = index
            index.update(entries, gone)

    def drop(self, collection: str) -> None:
        """Delete a collection's index."""
        with self._write_lock, self._lock:
            index = self._open.pop(collection, None)
            if index is not None:
                index.close()
            if index is self._writing:
                self._writing = None
            shutil.rmtree(self._directory / collection, ignore_errors=True)

    def close(self) -> None:
        """Close all."""
        with self._write_lock, self._lock:
            for index in self._open.values():
                index.close()
            self._open.clear()
            self._writing = None


@contextmanager
def sound(what: str) -> Iterator[None]:
    """Turn what tantivy raises into BackendError; over damaged files it panics, which is no Exception."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, OSError | ValueError | RuntimeError) and type(error).__name__ != "PanicException":
            raise
        raise BackendError(
            f"the keyword index cannot be {what}: {error}",
            help="check the disk's free space; a damaged index is made anew at the next start",
        ) from error


def _analyzer() -> Any:
    import tantivy

    # The text comes as tokens between spaces; what is left to do is the English stem.
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace())
    return builder.filter(tantivy.Filter.stemmer("english")).build()


def _schema() -> Any:
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("body", tokenizer_name=ANALYZER, index_option="freq")
    return builder.build()
