"""What keeps models from running on a SOPHON device of this machine, and what cures it?

The driver, the libraries above it and SAIL come from the vendor one by one, and each fits only some versions of the
others; what they say when they do not fit does not tell which.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clients.config import Config, Model
from clients.errors import RagqError
from services.llm.backends.sophon.options import TOOLS
from services.models import Shelf
from services.models.bundle import read_bundle

from .doctor import Finding

LIBSOPHON = "opt/sophon/libsophon-current"
NODES = ("bm-sophon*", "bm-tpu*")
DRIVERS = ("bmsophon", "bmtpu")
MANUAL = "https://doc.sophgo.com"
IMPORT_S = 30.0
# What SAIL is asked in a process of its own, as a module that does not fit may end it.
QUESTION = (
    "import sophon.sail as s; "
    "print('placeholder' if not hasattr(s, 'Engine') else 'old' if not hasattr(s, 'EngineLLM') else 'ok', "
    "getattr(s, '__version__', ''))"
)


@dataclass(frozen=True, slots=True)
class Machine:
    """Where to look.

    Attributes:
        root: of the file system.
        python: that a worker runs on.
    """

    root: Path = Path("/")
    python: str = sys.executable


def is_wanted(config: Config) -> bool:
    """Whether a role is served by a device."""
    return bool(_roles(config))


def examine(config: Config, machine: Machine | None = None) -> list[Finding]:
    """Look at everything that a model on a SOPHON device needs, or those that ragq.yml names."""
    machine = machine or Machine()
    drivers = {str(model.options.get("driver", "sail")) for model in _roles(config).values()}
    if drivers == {"simulator"}:
        return [simulator(config), *bundles(config, machine)]
    above = [] if drivers and "sail" not in drivers else [sail(machine)]
    return [*driver(machine), *nodes(machine), *libraries(machine), *above, *bundles(config, machine)]


def simulator(config: Config) -> Finding:
    """Is the simulator of the chip here?"""
    place = config.home / TOOLS
    if not list(place.glob("lib/libbmrt.so*")):
        return Finding("simulator", "blocks", f"not in {place}", "python -m compile.fetch gets it")
    return Finding("simulator", "ok", f"{place}: correct, and thousands of times slower than the chip")


def driver(machine: Machine) -> Iterator[Finding]:
    """Is the kernel's part loaded?"""
    loaded = [name for name in DRIVERS if (machine.root / "sys/module" / name).is_dir()]
    if not loaded:
        yield Finding(
            "driver", "blocks", "no driver of a SOPHON device is loaded",
            "install sophon-driver of the vendor's SDK, then: modprobe bmsophon; without a device: driver: simulator",
        )  # fmt: skip
        return
    version = _version(_read(machine.root / "proc/bmsophon/driver_version"))
    yield Finding("driver", "ok", f"{loaded[0]} {version or 'of an unknown version'}")


def nodes(machine: Machine) -> Iterator[Finding]:
    """Are there devices, and may we use them?"""
    found = sorted(path for pattern in NODES for path in (machine.root / "dev").glob(pattern))
    if not found:
        yield Finding("devices", "blocks", "none in /dev (bm-sophon0, bm-tpu0)", "is the card seated? lspci; dmesg")
        return
    shut = [path for path in found if not os.access(path, os.R_OK | os.W_OK)]
    names = ", ".join(path.name for path in found)
    if shut:
        yield Finding(
            "devices", "blocks", f"{names}; this user may not use {shut[0].name}: SAIL will say 'Invalid tpu id'",
            f"add the user to the group of {shut[0]} (stat {shut[0]}), or a udev rule with MODE=0666",
        )  # fmt: skip
    else:
        yield Finding("devices", "ok", names)


def libraries(machine: Machine) -> Iterator[Finding]:
    """Is libsophon here, and of the driver's version?"""
    place = machine.root / LIBSOPHON
    if not list(place.glob("lib/libbmrt.so*")):
        yield Finding(
            "libsophon", "blocks", f"no libbmrt below /{LIBSOPHON}", "install sophon-libsophon of the vendor's SDK"
        )
        return
    version, drivers = _version(place.resolve().name), _version(_read(machine.root / "proc/bmsophon/driver_version"))
    if version and drivers and version != drivers:
        yield Finding(
            "libsophon", "note", f"{version}, and the driver is {drivers}",
            "install both from one SDK: mixed ones fail with 'get function send api error'",
        )  # fmt: skip
    else:
        yield Finding("libsophon", "ok", version or str(place))


def sail(machine: Machine) -> Finding:
    """Can this Python import SAIL, and is it the real one?"""
    cure = f"build or download SAIL by the vendor's manual, {MANUAL}; or options: {{driver: runtime}}"
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            [machine.python, "-c", QUESTION], capture_output=True, text=True, timeout=IMPORT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return Finding(
            "sail", "blocks", f"importing sophon.sail takes more than {IMPORT_S:.0f} s", "restart the driver"
        )
    if done.returncode:
        return _not_imported(done.stderr, done.returncode, cure)
    kind, _, version = done.stdout.strip().partition(" ")
    if kind == "placeholder":
        return Finding(
            "sail", "blocks", "the package 'sophon' here is the empty placeholder of the package index",
            f"{machine.python} -m pip uninstall sophon, then {cure}",
        )  # fmt: skip
    if kind == "old":
        return Finding("sail", "note", f"{version} without EngineLLM", f"newer, for models on several chips: {cure}")
    return Finding("sail", "ok", version or "imports")


def bundles(config: Config, machine: Machine) -> Iterator[Finding]:
    """Is the model of each role whole, and compiled for the chip that is here?"""
    chip = _chip(machine)
    for role, model in _roles(config).items():
        what = f"llm.{role}"
        try:
            place = Shelf(config.home).locate(model.name).path
            bundle = read_bundle(place)
        except RagqError as error:
            yield Finding(what, "blocks", error.message, error.help or "python -m compile.convert makes one")
            continue
        if chip and bundle.chip != chip:
            says = f"'{model.name}' is for the {bundle.chip}, and this is a {chip}"
            yield Finding(what, "blocks", says, "compile it for the chip that is here; docs/sophon.md")
        elif bundle.sha256 and _sha256(place / bundle.file) != bundle.sha256:
            yield Finding(what, "blocks", f"{place / bundle.file} is damaged: its sha256 is another", "copy it again")
        else:
            lengths = ", ".join(f"{net.batch}x{net.tokens}" for net in bundle.nets)
            yield Finding(what, "ok", f"{model.name}: {bundle.task} in {bundle.dtype}, {lengths}")


def _roles(config: Config) -> dict[str, Model]:
    roles = {"embed": config.llm.embed, "rerank": config.llm.rerank, "generate": config.llm.generate}
    return {name: model for name, model in roles.items() if model.backend == "sophon"}


def _not_imported(said: str, status: int, cure: str) -> Finding:
    last = said.strip().splitlines()[-1] if said.strip() else f"ended with {status}"
    if "No module named" in last:
        return Finding("sail", "blocks", "SAIL (sophon.sail) is not installed, and no package index has it", cure)
    if "undefined symbol" in last:
        return Finding(
            "sail", "blocks", f"SAIL is newer than libsophon: {last}", "install the libsophon that SAIL was built for"
        )
    return Finding("sail", "blocks", f"SAIL cannot be imported: {last}", cure)


def _chip(machine: Machine) -> str:
    """Of the first card; empty where the driver does not tell."""
    said = _read(machine.root / "proc/bmsophon/card0/chipid").lower()
    if "1686" in said or "1684x" in said:
        return "bm1684x"
    return "bm1684" if "1684" in said else "bm1688" if "1688" in said else ""


def _version(said: str) -> str:
    found = re.search(r"\d+\.\d+(?:\.\d+)?", said)
    return found[0] if found else ""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
