"""How does a model come from a repository of a hub: what it has, what is needed of it, and then the files."""

from __future__ import annotations

import errno
import importlib.util
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from clients.errors import BadRequest, MissingExtra, TooLarge

from .architectures import Architecture
from .arrival import ChatDtype, finish, take
from .card import Card, renamed
from .description import describe
from .fetch import OnProgress, Report
from .files import PICKLED, needed, needed_gguf
from .hub import HubReader, Listing, parsed
from .shelf import Shelf


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that a hub has.

    Attributes:
        names: of the files that are needed.
        name: that it gets on the shelf.
    """

    listing: Listing
    names: tuple[str, ...]
    name: str

    @property
    def num_bytes(self) -> int:
        """What has to be downloaded."""
        return self.listing.num_bytes(self.names)

    @property
    def is_gguf(self) -> bool:
        """Whether it is a single chat file."""
        return self.names[0].endswith(".gguf")


def look(hub: HubReader, text: str, name: str = "") -> Offer:
    """What a hub has at ``OWNER/NAME`` or ``OWNER/NAME@REVISION``.

    Raises:
        NotFound, Forbidden, Unreachable: as ``HubReader.list``.
        BadRequest: the repository holds no model that can be loaded.
        MissingExtra: its weights must be converted by torch, which is not there.
    """
    repository, revision = parsed(text)
    listing = hub.list(repository, revision)
    names = needed_gguf(listing.files) or needed(listing.files)
    if not any(name.endswith((".safetensors", ".bin", ".gguf")) for name in names):
        raise BadRequest(
            f"'{repository}' has neither safetensors nor a readable .gguf file", help="take another repository"
        )
    if any(Path(name).name in PICKLED for name in names) and importlib.util.find_spec("torch") is None:
        raise MissingExtra("torch", "torch")
    own = Path(names[0]).stem if names[0].endswith(".gguf") else repository.rpartition("/")[2]
    return Offer(listing, names, name or own.lower())


def pull(
    shelf: Shelf, hub: HubReader, offer: Offer, on_progress: OnProgress = lambda _: None, *, dtype: ChatDtype = "int8"
) -> Card:
    """Get what ``look`` found; a pull that was killed goes on where it was.

    Raises:
        AlreadyExists: the name is taken.
        BadRequest: it cannot be loaded.
        DataLoss: a file is not what the hub says that it is.
        TooLarge: the disk is full.
        Unreachable, Forbidden: as ``HubReader.fetch``.
    """
    shelf.check_free(offer.name, 2 * offer.num_bytes)
    partial = shelf.partial(f"{offer.listing.repository.replace('/', '--')}-{offer.listing.revision[:12]}")
    report = Report(offer.name, offer.num_bytes, on_progress)
    try:
        _fetch(hub, offer, partial, report)
        card = shelf.admit(offer.name, lambda whole: _settle(offer, partial, whole, report, dtype))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise TooLarge(
                f"no space left on the disk of {shelf.directory}", help="free some, then pull again: it goes on"
            ) from error
        raise
    shutil.rmtree(partial)
    report("done", offer.num_bytes)
    return card


def _fetch(hub: HubReader, offer: Offer, partial: Path, report: Report) -> None:
    """Small files first: what cannot be loaded is refused before its weights come."""
    done = 0
    files = offer.listing.files
    for name in sorted(offer.names, key=lambda name: (files[name].num_bytes, name)):
        target = partial / name
        target.parent.mkdir(parents=True, exist_ok=True)
        hub.fetch(files[name], target, report.after(done))
        done += files[name].num_bytes
        if name == "config.json":
            Architecture(partial)


def _settle(offer: Offer, partial: Path, whole: Path, report: Report, dtype: ChatDtype) -> Card:
    report("convert", offer.num_bytes)
    path = partial / offer.names[0] if offer.is_gguf else partial
    card = replace(renamed(describe(path, converts=True), offer.name), licence=offer.listing.licence)
    source = f"the hub repository {offer.listing.repository} at {offer.listing.revision[:12]}"
    take(path, whole, how="move")
    return finish(whole, replace(card, source=source), dtype)
