"""What does a model hub have of a repository, and how does it come here."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from clients.errors import BadRequest, ConfigError, Forbidden, NotFound, RagqError, Unauthenticated, Unreachable

from .download import Patience, Reader, Remote

HUB = "https://huggingface.co"
REPOSITORY = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
TOKENS = "https://huggingface.co/settings/tokens"


@dataclass(frozen=True, slots=True)
class Listing:
    """A repository at one revision.

    Attributes:
        revision: the commit.
        licence: as its author states it; may be empty.
        files: name to where it is and what it must hold.
    """

    repository: str
    revision: str
    licence: str
    files: Mapping[str, Remote]

    def num_bytes(self, names: tuple[str, ...]) -> int:
        """Size of some of the files."""
        return sum(self.files[name].num_bytes for name in names)


class HubReader:
    """A hub, or a mirror of one that answers at the same paths.

    Args:
        address: its address; empty takes HF_ENDPOINT, or the hub itself.
        patience: with failures that may pass.

    The token in HF_TOKEN is sent to this host and to no other.
    """

    def __init__(self, address: str = "", patience: Patience | None = None) -> None:
        self.address = (address or os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")
        if not self.address.startswith(("https://", "http://")):
            raise ConfigError(
                f"the hub should be an http address, not '{self.address}'", help="set HF_ENDPOINT, or give --source"
            )
        token = os.environ.get("HF_TOKEN", "")
        self._reader = Reader({"Authorization": f"Bearer {token}"} if token else {}, patience or Patience())

    def file(self, repository: str, revision: str, name: str) -> str:
        """The address of a file."""
        return f"{self.address}/{repository}/resolve/{quote(revision, safe='')}/{quote(name)}"

    def list(self, repository: str, revision: str = "main") -> Listing:
        """The files of a repository.

        Raises:
            NotFound: it, or the revision, does not exist.
            Forbidden: it is gated; says how to get in.
            Unreachable: nobody answers, or not in the hub's way.
        """
        address = f"{self.address}/api/models/{repository}/revision/{quote(revision, safe='')}?blobs=true"
        try:
            value = json.loads(self._reader.read(address))
            return self._listing(repository, value)
        except RagqError as error:
            raise _told(error, repository, revision) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unreachable(f"{self.address} does not answer like a model hub: {error!r}") from error

    def fetch(self, remote: Remote, target: Path, tell: Callable[[int], None]) -> None:
        """Get a file; see ``Reader.fetch``."""
        self._reader.fetch(remote, target, tell)

    def _listing(self, repository: str, value: Mapping[str, object]) -> Listing:
        revision = str(value["sha"])
        siblings = value["siblings"]
        card = value.get("cardData") or {}
        assert isinstance(siblings, list)
        assert isinstance(card, Mapping)
        files = {str(entry["rfilename"]): self._remote(repository, revision, entry) for entry in siblings}
        return Listing(repository, revision, str(card.get("license") or ""), files)

    def _remote(self, repository: str, revision: str, entry: Mapping[str, object]) -> Remote:
        name, large = str(entry["rfilename"]), entry.get("lfs")
        size = entry.get("size")
        sha256 = str(large["sha256"]) if isinstance(large, Mapping) else ""
        blob = "" if sha256 else str(entry.get("blobId") or "")
        return Remote(self.file(repository, revision, name), size if isinstance(size, int) else 0, sha256, blob)


def parsed(text: str) -> tuple[str, str]:
    """Repository and revision of ``OWNER/NAME`` or ``OWNER/NAME@REVISION``; BadRequest for anything else."""
    match = REPOSITORY.fullmatch(text)
    if match is None or ".." in text:
        raise BadRequest(f"'{text}' is no repository", help="OWNER/NAME or OWNER/NAME@REVISION")
    return match["repository"], match["revision"] or "main"


def _told(error: RagqError, repository: str, revision: str) -> RagqError:
    """The same failure in words about the repository."""
    if isinstance(error, NotFound):
        return NotFound(f"the hub has no model '{repository}' at '{revision}'", help="check the spelling on the hub")
    if isinstance(error, Unauthenticated | Forbidden):
        return Forbidden(
            f"the model '{repository}' is gated or does not exist: {error.message}",
            help=f"accept its terms on its page, make a token at {TOKENS}, then set HF_TOKEN to it",
        )
    return error
