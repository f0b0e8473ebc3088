"""Is the way to the web open, and which way does a URL go?"""

from __future__ import annotations

from pathlib import Path

from clients.config import Web
from clients.errors import Forbidden
from services.index.versions import Validators

from .addresses import Resolve, system_resolve
from .fetching import Fetched, Fetcher
from .folder import SCHEME, Folder


class Opener:
    """Fetches URLs when the configuration lets it.

    Args:
        settings: whether the web is open at all, and the limits.
        resolve: the addresses of a name.
    """

    def __init__(self, settings: Web, resolve: Resolve = system_resolve) -> None:
        self._is_open = settings.enabled
        self.fetcher = Fetcher(settings, resolve)
        self.folder = Folder(Path(settings.search_folder)) if settings.search == "folder" else None

    def check(self, url: str) -> str:
        """The one spelling of a URL; BadRequest when it is none that may be fetched, Forbidden while the web is off."""
        self.check_open()
        return url if self.folder and url.startswith(SCHEME) else self.fetcher.check(url).url

    def check_open(self) -> None:
        """Forbidden while the web is off."""
        if not self._is_open:
            raise Forbidden(
                "this Index service fetches nothing from the web",
                help="set 'index.web.enabled: true' in ragq.yml, or save the page and add the file",
            )

    def fetch(self, url: str, held: Validators | None) -> Fetched:
        """Fetch a page; see `services.index.web.fetching.Fetcher.fetch`."""
        self.check_open()
        if self.folder and url.startswith(SCHEME):
            return self.folder.fetch(url)
        return self.fetcher.fetch(url, held)
