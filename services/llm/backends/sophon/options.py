"""What may ``options`` of a model on a SOPHON device say."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from clients.config import Model
from clients.errors import BadRequest, ConfigError
from clients.reading import read

from .device import Place

# Where ``python -m compile.fetch`` puts the simulator, below the data directory.
TOOLS = Path("tools") / "tpu-mlir-1.30.2"


@dataclass(frozen=True, slots=True)
class Options:
    """Settings that only this backend has.

    Attributes:
        driver: ``sail`` is the vendor's Python binding; ``runtime`` the C interface below it, for machines without;
            ``simulator`` computes what the chip would, slowly, on a processor.
        devices: numbers of the devices; each has the model, and passes go to whichever is free.
        libraries: directory of libbmlib and libbmrt; empty is where libsophon or the simulator lies.
        timeout_s: seconds of a pass after which a device counts as stuck.
        answers: how many a chat model writes on each device at a time; each has a memory there.
    """

    driver: Literal["sail", "runtime", "simulator"] = "sail"
    devices: list[int] = field(default_factory=lambda: [0])
    libraries: str = ""
    timeout_s: float = 120.0
    answers: int = 2

    def places(self, bmodel: Path, home: Path) -> list[Place]:
        """Where the model runs: one place for each device."""
        libraries = Path(self.libraries).expanduser() if self.libraries else None
        if self.driver == "simulator":
            libraries = libraries or home / TOOLS / "lib"
        driver = "sail" if self.driver == "sail" else "runtime"
        return [Place(bmodel, driver, device, libraries) for device in self.devices]


def read_options(settings: Model, role: str) -> Options:
    """The options of the model of a role; ConfigError names what is wrong."""
    place = f"llm.{role}.options"
    devices = settings.options.get("devices")
    if isinstance(devices, list) and any(isinstance(one, list) for one in devices):
        raise ConfigError(
            f"{place}: a model cannot be spread over several devices; each of them holds all of it",
            help="devices: [0, 1] has it on two; --dtype w8 makes it smaller",
        )
    try:
        options = read(Options, settings.options, place)
    except BadRequest as error:
        raise ConfigError(error.message, help=error.help) from error
    if not options.devices or len(set(options.devices)) < len(options.devices) or min(options.devices) < 0:
        raise ConfigError(f"{place}: devices are numbers from 0 on, each once", help="devices: [0]")
    if options.timeout_s <= 0 or options.answers < 1:
        raise ConfigError(f"{place}: timeout_s is above 0, and answers are 1 or more")
    return options
