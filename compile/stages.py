"""How does a net's text become a bmodel: three calls of the compiler, and one that puts nets together.

The passes are those that the vendor's ``model_deploy`` of the pinned version writes into its log. They are no stable
interface: another version needs another list, and a test compiles and runs what comes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from clients.errors import BackendError

from .compiler import CHIP, EXACT, GROUP, PROFILE, WEIGHTS, Compiled, address_mode, latency
from .mlir import Text
from .tools import COMPILER, PACKER, VERSION, Tools


class Stages:
    """The compiler of an unpacked wheel.

    Args:
        tools: of the pinned version.
    """

    name = f"tpu-mlir {VERSION}"

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def compile(self, text: Text, name: str, weights: Path, work: Path, mode: str) -> Compiled:
        """As ``Compiler.compile``."""
        place = work / name
        place.mkdir(parents=True)
        (place / WEIGHTS).symlink_to(weights)
        (place / f"{name}.mlir").write_text(text.module, encoding="utf-8")
        (place / EXACT).write_text("".join(f"{name} F32\n" for name in text.exact), encoding="utf-8")
        for step in STEPS:
            self._tools.run(place, place / "log.txt", COMPILER, *step(name, mode, text))
        return Compiled(name, place / f"{name}.bmodel", latency(place / PROFILE))

    def combine(self, parts: Sequence[Path], whole: Path) -> None:
        """As ``Compiler.combine``."""
        log = whole.parent / "combine.txt"
        self._tools.run(whole.parent, log, PACKER, "--combine", *map(str, parts), "-o", str(whole))
        if not whole.is_file():
            raise BackendError(f"{PACKER} wrote no {whole}; {log} tells why")


def _lower(name: str, mode: str, text: Text) -> list[str]:
    """To the operations of the chip, with weights in its numbers."""
    lowered: dict[str, str | int] = {"qtable": EXACT, "weightFileName": f"{name}_tpu_weights.npz", "asymmetric": False}
    return [
        f"{name}.mlir",
        _pass("processor-assign", chip=CHIP, mode=mode, num_device=1, num_core=1, addr_mode=address_mode(text)),
        "--processor-top-optimize",
        _pass("convert-top-to-tpu", **lowered, q_group_size=GROUP if mode.startswith("W") else 0),
        "--canonicalize", "--weight-fold", "-o", f"{name}_tpu.mlir",
    ]  # fmt: skip


def _optimise(name: str, _: str, text: Text) -> list[str]:
    """Cut into what fits the local memory, and given addresses; few inputs and outputs are 16 bits wide."""
    narrow = {"quant_input": text.narrow_inputs, "quant_output": text.narrow_outputs}
    kept = {key: bool(places) for key, places in narrow.items()}
    lists = {f"{key}_list": ",".join(map(str, places)) for key, places in narrow.items() if places}
    return [
        f"{name}_tpu.mlir", "--mlir-disable-threading",
        _pass("strip-io-quant", **kept, **lists),
        "--processor-tpu-optimize", "--dev-parallel", "--weight-reorder", _pass("subnet-divide", dynamic=False),
        "--op-reorder", "--topo-sort", _pass("layer-group", opt=2, group_by_cores="auto", compress_mode="none"),
        "--core-parallel", "--after-layergroup-weight-reorder", "--address-assign", "-o", f"{name}_final.mlir",
    ]  # fmt: skip


def _generate(name: str, _: str, __: Text) -> list[str]:
    """To the chip's instructions."""
    return [f"{name}_final.mlir", _pass("codegen", model_file=f"{name}.bmodel"), "-o", "/dev/null"]


def _pass(name: str, **settings: str | int) -> str:
    return f"--{name}={' '.join(f'{key}={value}' for key, value in settings.items())}"


STEPS = (_lower, _optimise, _generate)
