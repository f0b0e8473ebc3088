"""How does the simulator take a twentieth of the time: its threads give way to one another while they wait for work."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from clients.errors import BackendError
from services.llm.backends.sophon.device import GIVE_WAY

from .tools import Tools

SOURCE = "give_way.c"


def build(tools: Tools) -> bool:
    """Compile the library that is preloaded into the simulator's process, and put it beside the simulator's own.

    Returns:
        Whether it is there; without a C compiler it is not, and the simulator is slow.

    Raises:
        BackendError: the C compiler failed.
    """
    place = tools.libraries / GIVE_WAY
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if place.is_file() or compiler is None:
        return place.is_file()
    with tempfile.TemporaryDirectory(prefix=".give-way-", dir=tools.libraries) as work:
        made = Path(work) / GIVE_WAY
        source = Path(__file__).with_name(SOURCE)
        done = subprocess.run(  # noqa: S603 - an argument list of our own words
            [compiler, "-shared", "-fPIC", "-O2", "-o", str(made), str(source), "-ldl"], check=False,
            capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode:
            raise BackendError(f"{compiler} failed with {done.returncode} on {source}: {done.stderr.strip()}")
        made.replace(place)
    return True
