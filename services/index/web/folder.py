"""A web of one folder: search and pages without a network, for demonstrations and tests."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote, unquote

from clients.errors import NotFound
from clients.web import WebResult
from services.index.versions import Validators

from .content import content
from .fetching import Fetched

SCHEME = "folder:"
TYPES = {".html": "text/html", ".htm": "text/html", ".md": "text/markdown", ".txt": "text/plain"}
WORD = re.compile(r"[\u4e00-\u9fff]|[^\W\u4e00-\u9fff]+")
TAG = re.compile(r"<(script|style|title)\b.*?</\1>|<[^>]*>", re.IGNORECASE | re.DOTALL)
SNIPPET_CHARS = 200


class Folder:
    """The HTML, Markdown and text files of a folder, found by the words of a query."""

    name = "folder"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def search(self, query: str, count: int, timeout_s: float) -> list[WebResult]:  # noqa: ARG002 - never waits
        """The files with most of the query's words, best first."""
        wanted = set(WORD.findall(query.lower()))
        scored = [(len(wanted & set(WORD.findall(self._text(path).lower()))), path) for path in self._files()]
        best = sorted((pair for pair in scored if pair[0]), key=lambda pair: (-pair[0], pair[1].name))
        return [self._result(path) for _, path in best[:count]]

    def fetch(self, url: str) -> Fetched:
        """A file as a server would send it."""
        name = unquote(url.removeprefix(SCHEME))
        for path in self._files():
            if path.name == name:
                return Fetched(url, TYPES[path.suffix.lower()], path.read_bytes(), Validators())
        raise NotFound(f"the folder of index.web.search_folder has no page {name}", help="search again")

    def _files(self) -> list[Path]:
        if not self._folder.is_dir():
            raise NotFound(f"there is no folder {self._folder}", help="check index.web.search_folder in ragq.yml")
        return sorted(path for path in self._folder.iterdir() if path.is_file() and path.suffix.lower() in TYPES)

    def _text(self, path: Path) -> str:
        return path.read_text("utf-8", "replace")

    def _result(self, path: Path) -> WebResult:
        url = SCHEME + quote(path.name)
        page = content(path.name, TYPES[path.suffix.lower()], path.read_bytes())
        text = " ".join(TAG.sub(" ", self._text(path)).split())
        return WebResult(page.name, url, text[:SNIPPET_CHARS])
