"""Which class serves a service, and what a wrong name is told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from clients.errors import ConfigError, MissingExtra
from services.plugins import load_service
from tests.unit.services.trial_desk import Desk

HERE = "tests.unit.services.trial_desk"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for modules of a plug-in."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


def test_a_class_is_named_by_module_and_name() -> None:
    assert load_service("anything", f"{HERE}:Desk") is Desk


def test_a_plug_in_is_found_by_its_entry_point(package: Path) -> None:
    info = package / "desk-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: desk\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[ragq.services]\ndesk = {HERE}:Desk\nllm = {HERE}:Desk\n")
    assert load_service("desk") is Desk
    assert load_service("mine", "desk") is Desk
    assert load_service("llm").__name__ == "LLMService", "an installed package must not take a built-in name over"


@pytest.mark.parametrize(
    ("name", "module", "told", "help_text"),
    [
        ("indx", "", "no plug-in serves 'indx'", "did you mean 'index'?"),
        ("mine", "indx", "no plug-in serves 'indx'", "did you mean 'index'?"),
        ("mine", "no_such_module:Desk", "there is no module 'no_such_module'", "install the package"),
        ("mine", f"{HERE}.deeper:Desk", "there is no module", "install the package"),
        ("mine", f"{HERE}:Disk", "has no 'Disk'", ""),
        ("mine", f"{HERE}:SAY", "is not a subclass of services.service.Service", ""),
        ("mine", "pathlib:Path", "is not a subclass of services.service.Service", ""),
        ("mine", "services.service:Service", "has no name", 'name = "echo"'),
    ],
)
def test_a_wrong_name_is_told_what_is_wrong(name: str, module: str, told: str, help_text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_service(name, module)
    assert told in caught.value.message
    assert help_text in caught.value.help


def test_a_package_that_a_plug_in_needs_is_named(package: Path) -> None:
    (package / "needy_plugin.py").write_text("import needy\n")
    with pytest.raises(MissingExtra, match="'needy', which is not installed"):
        load_service("needy", "needy_plugin:Needy")
