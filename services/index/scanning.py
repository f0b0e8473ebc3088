"""How does a document become text whose pages are pictures: some pages a turn, so that other jobs get theirs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from clients.config import Index
from clients.wire import Clock

from .documents import Work
from .loaders import Loaded, Unreadable, Unseen
from .parsing import Parser
from .scans import Scans

TURN_S = 5.0
# Told what goes on; False when nobody wants it any more.
Told = Callable[[str], bool]


class Scanner:
    """Opens contents, and reads the pages of theirs that are pictures.

    Args:
        parser: opens and reads.
        scans: what was read before.
        settings: whether pictures are read, and the limits.
        clock: seconds, rising.
    """

    def __init__(self, parser: Parser, scans: Scans, settings: Index, clock: Clock) -> None:
        self._parser = parser
        self._scans = scans
        self._settings = settings
        self._clock = clock

    def open(self, work: Work, raw: bytes, told: Told) -> Loaded | None:
        """The text of a content; None when pages were read, and a further turn is needed.

        Raises:
            Unreadable: says why and what to do.
        """
        seen = None if self._settings.ocr == "never" else self._scans.of(work.sha256)
        try:
            return self._parser.parse(raw, work.name, work.media_type, seen)
        except Unseen as unseen:
            self._check(unseen.num_pictures)
            self._read(work, raw, unseen.pages, unseen.num_pictures, told)
        return None

    def _check(self, num_pictures: int) -> None:
        if num_pictures > self._settings.ocr_pages:
            raise Unreadable(
                f"{num_pictures} of its pages are images; text recognition reads up to {self._settings.ocr_pages}",
                help="split it, or raise index.ocr_pages; with index.ocr: never the images are left out",
            )

    def _read(self, work: Work, raw: bytes, pages: Sequence[int], num_pictures: int, told: Told) -> None:
        end = self._clock() + TURN_S
        for number, page in enumerate(pages, num_pictures - len(pages) + 1):
            if not told(f"recognising text: {number} of {num_pictures}"):
                return
            self._scans.keep(work.sha256, page, self._parser.read(raw, page, self._settings.ocr_timeout_s))
            if self._clock() > end:
                return
