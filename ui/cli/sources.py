"""Which files do the arguments of a command name?"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from clients.errors import BadRequest, NotFound


class Files(Mapping[str, bytes]):
    """Contents by document name; a file is read when its turn comes, so that a folder need not fit into memory.

    Attributes:
        left_out: entries of a directory that cannot be read, each with the reason.
    """

    def __init__(self, paths: Mapping[str, Path], left_out: Sequence[str] = ()) -> None:
        self._paths = paths
        self.left_out = tuple(left_out)

    @property
    def num_bytes(self) -> int:
        """Bytes of all files, as the disk says now."""
        return sum(path.stat().st_size for path in self._paths.values())

    @property
    def paths(self) -> Mapping[str, Path]:
        """Where each lies."""
        return self._paths

    def only(self, names: Iterable[str]) -> Files:
        """Some of the files."""
        return Files({name: self._paths[name] for name in names})

    def parts(self, num_files: int) -> list[Files]:
        """The same files, at most ``num_files`` in each part."""
        items = list(self._paths.items())
        return [Files(dict(items[i : i + num_files])) for i in range(0, len(items), num_files)]

    def __getitem__(self, name: str) -> bytes:
        try:
            return self._paths[name].read_bytes()
        except OSError as error:
            raise BadRequest(
                f"cannot read {self._paths[name]}: {error.strerror}", help="check the file and its permissions"
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


def collect(arguments: Sequence[str], include: Sequence[str] = ()) -> Files:
    """The files that some paths name.

    Args:
        arguments: files, and directories that are searched to the bottom; hidden entries below them are left out,
            and so is, with its reason, what cannot be read: to open a pipe would wait for ever.
        include: patterns such as ``*.md``; given any, a directory's other files are left out.

    Raises:
        NotFound: a path does not exist.
        BadRequest: there is no file to add.
    """
    paths: dict[str, Path] = {}
    left_out: list[str] = []
    for argument in arguments:
        for name, path in _below(Path(argument), include):
            if reason := _unreadable(path):
                left_out.append(f"{path}: {reason}")
                continue
            free = name not in paths or paths[name].resolve() == path.resolve()
            paths[name if free else path.as_posix()] = path
    if not paths:
        found = "; ".join(left_out) or f"no files in {', '.join(arguments)}"
        raise BadRequest(found, help="hidden files and all but regular files are left out; check --include")
    return Files(paths, left_out)


def _unreadable(path: Path) -> str:
    """Why a file cannot be read; empty when it can."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return "not a regular file"
    except OSError as error:
        return error.strerror or str(error)
    return "" if os.access(path, os.R_OK) else "no permission to read it"


def _below(path: Path, include: Sequence[str]) -> Iterator[tuple[str, Path]]:
    if path.is_file():
        yield path.name, path
        return
    if not path.is_dir():
        raise NotFound(f"no such file or directory: {path}", help="paths are on this machine; quote names with spaces")
    for folder, names, files in os.walk(path):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for file in sorted(files):
            found = Path(folder) / file
            if not file.startswith(".") and (not include or any(found.match(pattern) for pattern in include)):
                yield found.relative_to(path).as_posix(), found
