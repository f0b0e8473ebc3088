"""``ragq doctor sophon`` names what is wrong with a device's software, and the cure of each."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from clients.config import LLM, Config, Model
from services.launching import sophon
from services.launching.sophon import Machine
from services.models import Card
from services.models.bundle import BMODEL, Bundle, Net


def planted(root: Path, *, driver: str = "0.5.1", library: str = "0.5.1", chip: str = "0x1686") -> Machine:
    """A machine with a card, as its files show it."""
    (root / "sys/module/bmsophon").mkdir(parents=True)
    (root / "proc/bmsophon/card0").mkdir(parents=True)
    (root / "proc/bmsophon/driver_version").write_text(f"release version:{driver} release date: 20240101\n")
    (root / "proc/bmsophon/card0/chipid").write_text(f"{chip}\n")
    (root / "dev").mkdir()
    (root / "dev/bm-sophon0").touch(0o600)
    lib = root / f"opt/sophon/libsophon-{library}/lib"
    lib.mkdir(parents=True)
    (lib / "libbmrt.so.1.0").touch()
    (root / "opt/sophon/libsophon-current").symlink_to(lib.parent)
    return Machine(root)


def with_sail(machine: Machine, monkeypatch: pytest.MonkeyPatch, text: str) -> Machine:
    """A module ``sophon.sail`` of that text."""
    (machine.root / "site/sophon").mkdir(parents=True)
    (machine.root / "site/sophon/__init__.py").touch()
    (machine.root / "site/sophon/sail.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(machine.root / "site"))
    return machine


REAL = "class Engine: ...\nclass EngineLLM: ...\n__version__ = 'master(1)'\n"


def found(config: Config, machine: Machine) -> dict[str, tuple[str, str, str]]:
    return {one.what: (one.level, one.says, one.cure) for one in sophon.examine(config, machine)}


def test_a_machine_that_has_everything_has_nothing_to_cure(tmp_path, monkeypatch):
    findings = found(Config(), with_sail(planted(tmp_path), monkeypatch, REAL))
    assert {level for level, _, _ in findings.values()} == {"ok"}
    assert findings["driver"][1] == "bmsophon 0.5.1"


def test_a_machine_without_a_card_is_told_how_to_do_without(tmp_path):
    findings = found(Config(), Machine(tmp_path))
    assert {what for what, (level, _, _) in findings.items() if level == "blocks"} >= {"driver", "devices", "libsophon"}
    assert "driver: simulator" in findings["driver"][2]


def test_a_device_that_the_user_may_not_use_is_named(tmp_path, monkeypatch):
    machine = planted(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, _: not str(path).endswith("bm-sophon0"))  # root may use every file
    assert found(Config(), machine)["devices"][0] == "blocks"


def test_libraries_of_another_version_than_the_driver_are_noted(tmp_path):
    level, says, _ = found(Config(), planted(tmp_path, driver="0.4.9"))["libsophon"]
    assert (level, says) == ("note", "0.5.1, and the driver is 0.4.9")


@pytest.mark.parametrize(
    ("text", "level", "says", "cure"),
    [
        ("", "blocks", "empty placeholder", "pip uninstall sophon"),
        ("raise ImportError('x.so: undefined symbol: bmrt_get_flags')", "blocks", "newer than libsophon", "libsophon"),
        ("class Engine: ...", "note", "without EngineLLM", "newer"),
        ("import os; os._exit(139)", "blocks", "ended with 139", "driver: runtime"),
    ],
)
def test_what_is_wrong_with_sail_is_told_apart(tmp_path, monkeypatch, text, level, says, cure):
    finding = found(Config(), with_sail(planted(tmp_path), monkeypatch, text))["sail"]
    assert finding[0] == level
    assert says in finding[1]
    assert cure in finding[2]


def test_sail_that_is_not_there_is_told(tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if "sophon" in sys.modules:
        pytest.skip("SAIL is installed here")
    assert "not installed" in found(Config(), planted(tmp_path))["sail"][1]


def bundle(directory: Path, **changes: str) -> Config:
    directory.mkdir()
    (directory / BMODEL).write_bytes(b"x")
    net = Net(("embed_s128",), 1, 128)
    Bundle("embed", (net,), 8, 9, changes.get("chip", "bm1684x"), "bf16", sha256=changes.get("sha256", "")).write(
        directory
    )
    Card("small", "bmodel", ("embed",), weights=BMODEL).write(directory)
    return Config(llm=LLM(embed=Model(str(directory), "sophon")))


def test_a_model_for_another_chip_is_named(tmp_path):
    config = bundle(tmp_path / "model", chip="bm1688")
    level, says, _ = found(config, planted(tmp_path / "root"))["llm.embed"]
    assert level == "blocks"
    assert "is for the bm1688, and this is a bm1684x" in says


def test_a_damaged_model_is_named(tmp_path):
    config = bundle(tmp_path / "model", sha256="0" * 64)
    assert "damaged" in found(config, planted(tmp_path / "root"))["llm.embed"][1]


def test_a_simulated_device_needs_the_simulator_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setenv("RAGQ_HOME", str(tmp_path))
    model = Model("none-here", "sophon", options={"driver": "simulator"})
    findings = found(Config(llm=LLM(embed=model)), Machine(tmp_path))
    assert set(findings) == {"simulator", "llm.embed"}
    assert findings["simulator"][2] == "python -m compile.fetch gets it"


def test_a_device_below_sail_needs_no_sail(tmp_path):
    model = Model("none-here", "sophon", options={"driver": "runtime"})
    assert "sail" not in found(Config(llm=LLM(embed=model)), Machine(tmp_path))
