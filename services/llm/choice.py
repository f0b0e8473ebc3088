"""Which model was chosen for a role while the service ran, so that restarts and other workers keep to it.

One small file per role below ``<home>/roles``, written whole or not at all. It holds while ragq.yml says of
that role what it said when the choice was made: whoever edits ragq.yml has the last word.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import get_args, get_type_hints

from clients.config import Model
from clients.errors import BackendError, BadRequest, RagqError
from clients.models import Reload, RoleName
from clients.reading import read

log = logging.getLogger(__name__)

DTYPES: tuple[str, ...] = get_args(get_type_hints(Model)["dtype"])
Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the file says.

    Attributes:
        section: digest of what ragq.yml said of the role.
    """

    section: str
    wish: Reload


class Choice:
    """The choice for a role; not for several threads at a time.

    Args:
        folder: ``<home>/roles``.
        role: the role.
        section: what ragq.yml says of it.
    """

    def __init__(self, folder: Path, role: RoleName, section: Model) -> None:
        self._path = folder / f"{role}.json"
        self._role = role
        self._section = section
        self._seen: Stamp | None = None

    @property
    def path(self) -> Path:
        """Where it is kept; removing the file undoes the choice."""
        return self._path

    def look(self) -> Reload | None:
        """The wish in the file if the file is another one than at the last look; costs one ``stat``."""
        stamp = self._stamp()
        if stamp == self._seen:
            return None
        self._seen = stamp
        return self._read()

    def keep(self, wish: Reload) -> None:
        """Write it down, or forget it when it asks for nothing but what ragq.yml says.

        Raises:
            BackendError: the file could not be written.
        """
        try:
            if settings_of(self._section, wish) == self._section:
                self._path.unlink(missing_ok=True)
            else:
                self._write(wish)
        except OSError as error:
            raise BackendError(
                f"the choice of a model could not be kept in {self._path}: {error.strerror}",
                help="make the directory writable, or name the model in ragq.yml",
            ) from error
        self._seen = self._stamp()

    def _write(self, wish: Reload) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(Chosen(digest(self._section), wish)), indent=1, ensure_ascii=False)
        handle, name = tempfile.mkstemp(prefix=".choice-", dir=self._path.parent)
        work = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            work.replace(self._path)
        finally:
            work.unlink(missing_ok=True)

    def _read(self) -> Reload:
        """The wish that holds; what is missing, broken or of another ragq.yml asks for nothing."""
        nothing = Reload(self._role)
        try:
            chosen = read(Chosen, json.loads(self._path.read_text(encoding="utf-8")), str(self._path))
            settings_of(self._section, chosen.wish)
        except FileNotFoundError:
            return nothing
        except (OSError, ValueError, RagqError) as error:
            log.warning("the choice in %s is not readable, so ragq.yml holds: %s", self._path, error)
            return nothing
        return chosen.wish if chosen.section == digest(self._section) else nothing

    def _stamp(self) -> Stamp | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size


def settings_of(section: Model, wish: Reload) -> Model:
    """What ragq.yml says, with what is wished for in its place.

    Raises:
        BadRequest: there is no such dtype.
    """
    if wish.dtype and wish.dtype not in DTYPES:
        raise BadRequest(f"no dtype '{wish.dtype}'", help=f"known: {', '.join(DTYPES)}")
    wished = {name: value for name in ("name", "backend", "dtype", "device") if (value := getattr(wish, name))}
    return replace(section, **wished)


def digest(section: Model) -> str:
    """16 digits that change with any setting; says nothing of a key among them."""
    text = json.dumps(asdict(section), sort_keys=True, default=str)
    return blake2b(text.encode(), digest_size=8).hexdigest()
