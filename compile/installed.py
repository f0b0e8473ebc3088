"""The compiler of a TPU-MLIR that is installed: its ``model_deploy``, on the same text and the same weights."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from clients.errors import BackendError, ModelNotLoaded

from .compiler import CHIP, EXACT, GROUP, PROFILE, WEIGHTS, Compiled, address_mode, latency
from .mlir import Text

DEPLOY, PACKER = "model_deploy", "model_tool"
TAIL_LINES = 15


class Installed:
    """TPU-MLIR on PATH, as ``pip install tpu-mlir`` puts it there under Python 3.10.

    Raises:
        ModelNotLoaded: it is not on PATH.
    """

    name = "tpu-mlir, installed"

    def __init__(self) -> None:
        self._programs = {name: shutil.which(name) for name in (DEPLOY, PACKER)}
        if lost := [name for name, place in self._programs.items() if place is None]:
            raise ModelNotLoaded(
                f"{lost[0]} is not on PATH", help="activate the environment of tpu-mlir, or python -m compile.fetch"
            )

    def compile(self, text: Text, name: str, weights: Path, work: Path, mode: str) -> Compiled:
        """As ``Compiler.compile``."""
        place = work / name
        place.mkdir(parents=True)
        (place / WEIGHTS).symlink_to(weights)
        (place / f"{name}.mlir").write_text(text.module, encoding="utf-8")
        (place / EXACT).write_text("".join(f"{one} F32\n" for one in text.exact), encoding="utf-8")
        group = ["--q_group_size", str(GROUP)] if mode.startswith("W") else []
        lists = {"--quant_input": text.narrow_inputs, "--quant_output": text.narrow_outputs}
        narrow = [
            word for key, places in lists.items() if places
            for word in (key, f"{key}_list", ",".join(map(str, places)))
        ]  # fmt: skip
        self._run(
            place, DEPLOY, "--mlir", f"{name}.mlir", "--quantize", mode, "--chip", CHIP, "--model", f"{name}.bmodel",
            "--quantize_table", EXACT, "--skip_validation", "--addr_mode", address_mode(text), *group, *narrow,
        )  # fmt: skip
        return Compiled(name, place / f"{name}.bmodel", latency(_profile(place, name)))

    def combine(self, parts: Sequence[Path], whole: Path) -> None:
        """As ``Compiler.combine``."""
        self._run(whole.parent, PACKER, "--combine", *map(str, parts), "-o", str(whole))
        if not whole.is_file():
            raise BackendError(f"{PACKER} wrote no {whole}")

    def _run(self, work: Path, program: str, *arguments: str) -> None:
        done = subprocess.run(  # noqa: S603 - an argument list of our own words
            [str(self._programs[program]), *arguments], cwd=work, check=False, capture_output=True, text=True,
            errors="replace", stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode:
            raise _failure(program, done)


def _profile(place: Path, name: str) -> Path:
    """Some versions move it beside the bmodel."""
    moved = place / f"{name}.bmodel.{PROFILE}"
    return moved if moved.is_file() else place / PROFILE


def _failure(program: str, done: subprocess.CompletedProcess[str]) -> BackendError:
    said = f"{done.stdout}{done.stderr}".splitlines()
    cure = ""
    if any("GLIBC_" in line for line in said):
        cure = (
            "remove libc.so.6, libm.so.6 and libpthread.so.0 from its lib/third_party: they are older than the system's"
        )
    told = "\n".join(said[-TAIL_LINES:])
    return BackendError(f"{program} failed with {done.returncode}; it ends with:\n{told}", help=cure)
