"""Which models lie on this machine, and how one gets there.

A model is a directory below ``<home>/models`` with its weights and a card. It appears whole or not
at all: work happens in a hidden directory beside it that is renamed at the end.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from clients.errors import AlreadyExists, BadRequest, ModelNotLoaded, NotFound, RagqError, TooLarge, Unreachable

from .arrival import ChatDtype, How, finish, take
from .bundle import BUNDLE
from .card import Card, renamed
from .description import describe, read_card
from .fetch import OnProgress, Report, gather
from .gguf_repack import repack
from .known import PULLABLE, find
from .manifest import REPACKED, Hub, Pullable, Source
from .packed_e5 import convert as convert_packed_e5

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
WORK_PREFIX = ".pull-"
STALE_S = 24 * 3600.0
PARTIAL_PREFIX = ".part-"
PARTIAL_STALE_S = 7 * STALE_S
CONVERTERS: dict[str, Callable[[Path, Path], None]] = {
    "packed_e5": convert_packed_e5,
    "repack": lambda source, directory: repack(source, directory / REPACKED),
}


@dataclass(frozen=True, slots=True)
class Shelved:
    """A model on the shelf."""

    card: Card
    path: Path
    num_bytes: int


class Shelf:
    """The models directory of a home.

    Args:
        home: the data directory.
        pullables: what ``pull`` knows by name.
    """

    def __init__(self, home: Path, pullables: Sequence[Pullable] = PULLABLE) -> None:
        self.directory = home / "models"
        self._pullables = pullables

    def has(self, name: str) -> bool:
        """Whether the model, or every model of the profile, is here."""
        return all(self._place(member).is_dir() for member in self._members(name))

    def path(self, name: str) -> Path:
        """The directory of a model.

        Raises:
            ModelNotLoaded: it is not here; the help says how to get it.
        """
        place = self._place(name)
        if not place.is_dir():
            raise ModelNotLoaded(f"the model '{name}' is not on this machine", help=_cure(name))
        return place

    def locate(self, name: str) -> Shelved:
        """A model by its name on the shelf, or by a path to it.

        Raises:
            ModelNotLoaded: neither exists.
            BadRequest: the place holds something else.
        """
        if not NAME.fullmatch(name) or not self._place(name).is_dir():
            outside = Path(name).expanduser()
            if (outside.is_absolute() or len(outside.parts) > 1) and outside.exists():
                return _outside(outside)
        place = self.path(name)
        return Shelved(read_card(place), place, _size(place))

    def list(self) -> list[Shelved]:
        """Every model on the shelf, by name."""
        if not self.directory.is_dir():
            return []
        names = sorted(p.name for p in self.directory.iterdir() if p.is_dir() and NAME.fullmatch(p.name))
        return [self.locate(name) for name in names]

    def pull(self, name: str, on_progress: OnProgress = lambda _: None) -> tuple[Card, ...]:
        """Get a model, or every model of a profile; what is already here is not fetched again.

        Returns:
            The cards of all of them.

        Raises:
            NotFound: nothing of that name can be pulled.
            ModelNotLoaded: no source gave it; says why each did not.
        """
        return tuple(self._pull_one(model, on_progress) for model in find(name, self._pullables))

    def add(self, path: Path, name: str = "", *, link: bool = False, dtype: ChatDtype = "int8") -> Card:
        """Put a model of the user's own on the shelf.

        Args:
            path: a .gguf file, a directory with a checkpoint, of which only the files that are needed are taken, or
                one with a compiled model.
            name: what to call it; empty takes the file's name.
            link: point at the files instead of copying them; what has to be converted is written all the same.
            dtype: of the GGUF file that a chat model in safetensors is written as; ``none`` writes none.

        Raises:
            NotFound: there is nothing at the path.
            BadRequest: it is no model that we can read, or the name is not allowed.
            AlreadyExists: the name is taken.
            MissingExtra: its weights are pickled, and torch is not there to convert them.
        """
        path = path.expanduser().resolve()
        if not path.exists():
            raise NotFound(f"there is nothing at {path}")
        card = read_card(path) if (path / BUNDLE).is_file() else describe(path, converts=True)
        card = replace(renamed(card, name or card.name), source=str(path))
        how: How = "link" if link else "copy"

        def fill(whole: Path) -> Card:
            take(path, whole, how=how)
            return finish(whole, card, dtype)

        return self.admit(card.name, fill)

    def admit(self, name: str, fill: Callable[[Path], Card]) -> Card:
        """Put on the shelf what ``fill`` puts into a directory, whole or not at all.

        Raises:
            AlreadyExists: the name is taken.
        """
        self.check_free(name)
        with self._workplace() as work:
            whole = work / "whole"
            whole.mkdir()
            card = fill(whole)
            whole.replace(self._place(name))
        return card

    def check_free(self, name: str, num_bytes: int = 0) -> None:
        """Whether a model of that name and size may come.

        Raises:
            BadRequest: the name is not allowed.
            AlreadyExists: it is taken.
            TooLarge: the disk has less room.
        """
        if self._place(name).exists():
            raise AlreadyExists(f"a model called '{name}' is already here", help="give another name with --name")
        self._check_space(num_bytes)

    def partial(self, name: str) -> Path:
        """A directory for what has come of a model so far; it outlives a kill for a week."""
        place = self.directory / f"{PARTIAL_PREFIX}{name}"
        place.mkdir(parents=True, exist_ok=True)
        return place

    def remove(self, name: str) -> int:
        """Delete a model; gives the bytes that it took.

        Raises:
            ModelNotLoaded: it is not here.
        """
        place = self.path(name)
        num_bytes = _size(place)
        with self._workplace() as work:
            place.replace(work / "gone")
        return num_bytes

    def _members(self, name: str) -> tuple[str, ...]:
        try:
            return tuple(model.name for model in find(name, self._pullables))
        except NotFound:
            return (name,)

    def _pull_one(self, model: Pullable, on_progress: OnProgress) -> Card:
        place = self._place(model.name)
        card = read_card(place) if place.is_dir() else self._pull_first(model, on_progress)
        size = model.sources[0].download_bytes
        Report(model.name, size, on_progress)("done", size)
        return card

    def _pull_first(self, model: Pullable, on_progress: OnProgress) -> Card:
        failures: list[tuple[Source, RagqError]] = []
        for source in model.sources:
            try:
                with self._workplace() as work:
                    return self._pull_from(source, model, work, on_progress)
            except RagqError as error:
                failures.append((source, error))
                if isinstance(error, TooLarge):
                    break
        raise _failed(model, failures)

    def _pull_from(self, source: Source, model: Pullable, work: Path, on_progress: OnProgress) -> Card:
        grown = sum(content.num_bytes for content in source.contents) * (4 if source.converter else 1)
        self._check_space(2 * source.download_bytes + grown)
        report = Report(model.name, source.download_bytes, on_progress)
        raw, whole = work / "raw", work / "whole"
        raw.mkdir()
        partial = self.partial(model.name) if isinstance(source, Hub) else raw
        gather(source, raw, report, partial)
        if partial != raw:
            shutil.rmtree(partial)
        if source.converter:
            whole.mkdir()
            report("convert", report.bytes_total)
            CONVERTERS[source.converter](raw / source.contents[0].name, whole)
        else:
            raw.rename(whole)
        card = replace(model.card, source=str(source), revision=source.contents[0].sha256[:16])
        card.write(whole)
        return self._shelve(whole, card)

    def _shelve(self, whole: Path, card: Card) -> Card:
        for file in whole.iterdir():
            file.chmod(0o644)
        place = self._place(card.name)
        if not place.is_dir():  # another pull may have been quicker
            whole.replace(place)
        return card

    def _check_space(self, needed: int) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.directory).free
        if free < needed:
            raise TooLarge(
                f"{self.directory} has {free >> 20} MB free, {needed >> 20} MB are needed",
                help="free some space, or set RAGQ_HOME to a larger disk",
            )

    @contextmanager
    def _workplace(self) -> Iterator[Path]:
        """A hidden directory beside the models; what killed pulls left behind for a day goes."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for prefix, stale_s in ((WORK_PREFIX, STALE_S), (PARTIAL_PREFIX, PARTIAL_STALE_S)):
            for left in self.directory.glob(f"{prefix}*"):
                if time.time() - left.stat().st_mtime > stale_s:
                    shutil.rmtree(left, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=WORK_PREFIX, dir=self.directory))
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _place(self, name: str) -> Path:
        _check_name(name)
        return self.directory / name


def _cure(name: str) -> str:
    if name in {model.name for model in PULLABLE}:
        return f"ragq models pull {name}"
    return "ragq models pull embedded gets the built-in models; ragq models add PATH takes one of your own"


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise BadRequest(f"'{name}' cannot name a model", help="small letters, digits, '.', '_' and '-', at most 100")


def _outside(path: Path) -> Shelved:
    card = read_card(path) if path.is_dir() else describe(path)
    return Shelved(card, path if path.is_dir() else path.parent, _size(path))


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else sum(p.stat().st_size for p in path.rglob("*") if p.is_file())


def _failed(model: Pullable, failures: list[tuple[Source, RagqError]]) -> ModelNotLoaded:
    reasons = "; ".join(f"{source}: {error.message}" for source, error in failures)
    last = failures[-1][1]
    if isinstance(last, TooLarge):
        cure = "free some space, or set RAGQ_HOME to a larger disk"
    elif any(isinstance(error, Unreachable) for _, error in failures):
        cure = (
            "check the network or the mirror (PIP_INDEX_URL, PIP_FIND_LINKS, HF_ENDPOINT), "
            f"then: ragq models pull {model.name}"
        )
    else:
        cure = failures[0][1].help or f"try again later: ragq models pull {model.name}"
    return ModelNotLoaded(f"could not get '{model.name}'. {reasons}", help=cure)
