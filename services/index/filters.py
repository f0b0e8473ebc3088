"""Does a document fit what a search is limited to?"""

from __future__ import annotations

import fnmatch
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import NamedTuple
from urllib.parse import urlsplit

from clients.errors import BadRequest
from clients.within import Within

from .loaders.docx import MEDIA_TYPE as DOCX
from .loaders.pdf import MEDIA_TYPE as PDF
from .loaders.slides import MEDIA_TYPE as PPTX
from .loaders.workbook import MEDIA_TYPE as XLSX
from .web.targets import PORTS, target

MAX_DOCUMENTS, MAX_OTHERS, MAX_CHARS = 10_000, 100, 4000
WILD = ("*", "?")
NEVER = r"(?!)"
KIND = re.compile(r"[\w+-][\w.+-]*(/([\w.+-]+|\*))?", re.ASCII)
# The title of a web page has no ending; what it is tells its media type.
TYPES = {
    "pdf": PDF, "docx": DOCX, "xlsx": XLSX, "pptx": PPTX, "html": "text/html", "htm": "text/html",
    "md": "text/markdown", "markdown": "text/markdown",
}  # fmt: skip


class Candidate(NamedTuple):
    """A document as a filter sees it."""

    id: str
    name: str
    status: str
    media_type: str
    source: str


Test = Callable[[Candidate], bool]


class Filter:
    """A `Within` whose fields were looked at; BadRequest says which of them means nothing."""

    def __init__(self, within: Within) -> None:
        documents = _words("documents", within.documents, MAX_DOCUMENTS, "a name, an id, or a pattern such as *.pdf")
        self._plain = {_folded(word): word for word in documents if not _is_wild(word)}
        self._patterns = {_expression(word): word for word in documents if _is_wild(word)}
        _check_number("patterns in within.documents", len(self._patterns), MAX_OTHERS)
        sources = _words("sources", within.sources, MAX_OTHERS, "a URL or a host such as docs.example.org")
        kinds = _words("kinds", within.kinds, MAX_OTHERS, "an ending such as pdf, or a media type such as text/html")
        tests = (self._named(), _from_one_of(sources), _of_a_kind(kinds))
        self._tests = [test for test in tests if test is not None]

    def _named(self) -> Test | None:
        """Whether a document is named, where any is. One expression for all patterns: there may be many names."""
        if not self._plain and not self._patterns:
            return None
        plain, fits = self._plain, re.compile("|".join(self._patterns) or NEVER).match
        return lambda d: (name := _folded(d.name)) in plain or d.id in plain or fits(name) is not None

    def chosen(self, documents: Iterable[Candidate]) -> list[Candidate]:
        """The documents that a search limited like this may find in."""
        for test in self._tests:
            documents = filter(test, documents)
        return list(documents)

    def unknown(self, documents: Sequence[Candidate], chosen: Sequence[Candidate]) -> list[str]:
        """The words that name none of the documents, as they were given.

        Args:
            documents: all of the collection.
            chosen: those of them that fit; they are looked at first, because they name most words.
        """
        left = {**self._plain, **self._patterns}
        for some in (chosen, documents):
            if left:
                names = {_folded(document.name) for document in some}
                known = names | {document.id for document in some}
                left = {key: word for key, word in left.items() if not _is_known(key, word, known, names)}
        return list(left.values())


def _is_known(key: str, word: str, known: Collection[str], names: Iterable[str]) -> bool:
    return any(map(re.compile(key).match, names)) if _is_wild(word) else key in known


def _words(field: str, words: Sequence[str], most: int, such: str) -> list[str]:
    _check_number(f"within.{field}", len(words), most)
    for number, word in enumerate(words):
        if not word.strip() or len(word) > MAX_CHARS:
            wrong = "is empty" if not word.strip() else f"has {len(word)} characters; the limit is {MAX_CHARS}"
            raise BadRequest(f"within.{field}[{number}]: {wrong}", help=f"give {such}")
    return list(dict.fromkeys(words))


def _check_number(what: str, number: int, most: int) -> None:
    if number > most:
        raise BadRequest(f"{what}: {number} are given; the limit is {most}", help="a pattern names many at once")


def _is_wild(word: str) -> bool:
    return any(sign in word for sign in WILD)


def _folded(name: str) -> str:
    """A name as it is compared: in composed form, without the difference of upper and lower case."""
    return unicodedata.normalize("NFC", name).casefold()


def _expression(word: str) -> str:
    # A name may have brackets, so they are no sets of characters here; fnmatch's expressions never backtrack.
    return fnmatch.translate(_folded(word).replace("[", "[[]"))


def _from_one_of(sources: Sequence[str]) -> Test | None:
    tests = [_source_test(word) for word in sources]
    return (lambda d: bool(d.source) and any(is_below(d.source) for is_below in tests)) if tests else None


def _of_a_kind(words: Sequence[str]) -> Test | None:
    kinds = [_kind_of(word) for word in words]
    return (lambda d: any(_is_kind(kind, d) for kind in kinds)) if kinds else None


def _source_test(word: str) -> Callable[[str], bool]:
    has_scheme = "://" in word
    try:
        wanted = target(word if has_scheme else f"https://{word}", tuple(PORTS))
    except BadRequest as error:
        raise BadRequest(
            f"within.sources: {word[:80]!r} is neither a URL nor a host",
            help="give https://docs.example.org/guide or docs.example.org",
        ) from error
    place = urlsplit(wanted.origin).netloc
    below = wanted.path.rstrip("/")
    return partial(_is_below, wanted.scheme if has_scheme else "", place, below)


def _is_below(scheme: str, place: str, path: str, source: str) -> bool:
    """Whether a page's URL is that of a place or one below it; without a scheme, hosts below it count too."""
    parts = urlsplit(source)
    here = parts.netloc.lower()
    is_there = here == place or (not scheme and here.endswith(f".{place}"))
    rest = source.partition("://")[2][len(parts.netloc) :]
    is_deeper = rest == path or (rest.startswith(path) and rest[len(path)] in "/?#")
    return is_there and scheme in ("", parts.scheme.lower()) and is_deeper


def _kind_of(word: str) -> str:
    kind = word.strip().lower().removeprefix("*").removeprefix(".")
    if not KIND.fullmatch(kind):
        raise BadRequest(
            f"within.kinds: {word!r} is no kind of document",
            help="give an ending such as pdf, or a media type such as application/pdf or image/*",
        )
    return kind


def _is_kind(kind: str, document: Candidate) -> bool:
    media_type = document.media_type.partition(";")[0].strip().lower()
    if "/" in kind:
        return media_type.startswith(kind[:-1]) if kind.endswith("/*") else media_type == kind
    return document.name.lower().endswith(f".{kind}") or (bool(media_type) and TYPES.get(kind) == media_type)
