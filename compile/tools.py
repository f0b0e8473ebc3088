"""Where is TPU-MLIR on this machine, and how are its programs called so that they run.

Each trap below cost its finder days: the wheel brings a C library of its own that breaks every newer system, two
variables must be set or the compiler dies on a null pointer, and a kernel that failed once is remembered for ever.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from clients.config import Config
from clients.errors import BackendError, ModelNotLoaded

VERSION = "1.30.2"
NAME = f"tpu-mlir-{VERSION}"
VARIABLE = "RAGQ_TPU_MLIR"
COMPILER, PACKER = "bin/tpuc-opt", "bin/model_tool"
KERNELS = "cross_toolchains/ppl_compile"
KERNEL_SCRIPT = "ppl_jit.sh"
TAIL_LINES = 15


def home() -> Path:
    """Where ``python -m compile.fetch`` puts it."""
    return Config().home / "tools" / NAME


def find(given: Path | None = None) -> Tools:
    """The tools of a directory, of the variable RAGQ_TPU_MLIR, or those that were fetched.

    Raises:
        ModelNotLoaded: they are in none of these; says how to get them.
    """
    named = os.environ.get(VARIABLE, "")
    for place in filter(None, (given, Path(named) if named else None, home())):
        for root in (place, place / "tpu_mlir"):
            if (root / COMPILER).is_file():
                return Tools(root.resolve())
        if place is given or named:
            raise ModelNotLoaded(f"{place} has no {COMPILER}", help="python -m compile.fetch gets the tools")
    raise ModelNotLoaded(f"TPU-MLIR is not in {home()}", help="python -m compile.fetch gets it (312 MB once)")


@dataclass(frozen=True, slots=True)
class Tools:
    """An unpacked TPU-MLIR, which need not be installed.

    Attributes:
        root: holds ``bin`` and ``lib``.
    """

    root: Path

    @property
    def libraries(self) -> Path:
        """With the simulator of the chip and the runtime."""
        return self.root / "lib"

    def run(self, work: Path, log: Path, program: str, *arguments: str) -> None:
        """Run a program in ``work``; what it says is appended to ``log``.

        Raises:
            BackendError: it failed; with the end of what it said, or with what it lacked.
        """
        with log.open("ab") as output:
            done = subprocess.run(  # noqa: S603 - an argument list of our own words
                [str(self.root / program), *arguments], cwd=work, env=self._environment(work), check=False,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        if done.returncode:
            raise _failure(program, done.returncode, log)

    def _environment(self, work: Path) -> dict[str, str]:
        kernels = self.root / KERNELS
        scripts = work / "scripts"
        if not scripts.is_dir():
            scripts.mkdir(parents=True)
            shutil.copy(Path(__file__).with_name(KERNEL_SCRIPT), scripts)
            (scripts / KERNEL_SCRIPT).chmod(0o755)
        return os.environ | {
            "TPUC_ROOT": str(self.root),
            "PPL_PROJECT_ROOT": str(kernels),
            "PPL_CACHE_PATH": str(work / "kernels"),
            "PATH": os.pathsep.join([str(scripts), str(kernels / "bin"), os.environ.get("PATH", "")]),
            "LD_LIBRARY_PATH": os.pathsep.join(map(str, [*system_libraries(), self.libraries])),
        }


def system_libraries() -> list[Path]:
    """The system's own, which must come before those of an untouched wheel: it ships an older C library."""
    multiarch = sysconfig.get_config_var("MULTIARCH") or "x86_64-linux-gnu"
    places = (f"/lib/{multiarch}", f"/usr/lib/{multiarch}", "/lib64", "/usr/lib64")
    return [Path(place) for place in places if Path(place).is_dir()]


def _failure(program: str, status: int, log: Path) -> BackendError:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    if any(f"{KERNEL_SCRIPT}: no C compiler" in line for line in lines):
        return BackendError(
            "the compiler builds its attention kernels with a C compiler, and there is none", help="apt install gcc"
        )
    told = "\n".join(lines[-TAIL_LINES:])
    return BackendError(f"{Path(program).name} failed with {status}; {log} ends with:\n{told}")
