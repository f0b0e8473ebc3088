"""The example service, which is a package of its own, in a mesh; and the page that explains it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from clients import Ragq, errors
from clients.settings import load
from services.plugins import load_service
from tests.conftest import ROOT
from tests.mesh.processes import Processes, processes, until

pytestmark = pytest.mark.mesh
EXAMPLE = ROOT / "examples" / "echo_service"
PAGE = ROOT / "docs" / "write-a-service.md"
SHOWN = re.compile(r"<!-- (examples/\S+) -->\n```\w+\n(.*?)```", re.DOTALL)


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The example's package on the path, as its installation would put it there."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "echo_service"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    options = {"mark": "!"}
    directory = tmp_path_factory.mktemp("echo")
    with processes(directory, "echo_service.service:Echo", "echo", options=options) as mesh:
        mesh.start_mesh(1, str(EXAMPLE))
        yield mesh


def test_the_examples_caller_prints_what_its_readme_shows(mesh: Processes) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(EXAMPLE)])}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLE / "ask.py"), str(mesh.path)],
        env=environment, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert f"```\n{done.stdout}```" in (EXAMPLE / "README.md").read_text(encoding="utf-8")


@pytest.mark.usefixtures("importable")
def test_its_methods_are_called_from_the_sdk(mesh: Processes) -> None:
    from echo_service import SAY, SPELL, Say, Spell

    with Ragq(load(mesh.path, env={}).config) as ragq:
        echo = ragq.client("echo")
        assert echo.call(SAY, Say("a")).text == "a!"
        with pytest.raises(errors.BadRequest, match="times: 0 is not 1 to 100"):
            echo.call(SAY, Say("a", times=0))
        with echo.stream(SPELL, Spell("a b c", pause_s=30)) as words:
            assert next(words).text == "a"
        until(lambda: echo.status().running == 0, 3)
        (service,) = [s for s in ragq.status().services if s.service == "echo"]
        assert service.state == "ready"


@pytest.mark.usefixtures("importable")
def test_an_installed_plug_in_is_found_by_its_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The metadata that an installer writes, made from the example's own pyproject."""
    import tomllib

    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    written = tmp_path / "ragq_echo-0.1.0.dist-info"
    written.mkdir()
    name, version = project["name"], project["version"]
    (written / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (point,) = project["entry-points"]["ragq.services"].items()
    (written / "entry_points.txt").write_text(f"[ragq.services]\n{point[0]} = {point[1]}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load_service("echo").__name__ == "Echo"
    assert load_service("greeter", "echo").__name__ == "Echo"


def test_the_pages_code_is_the_examples_code() -> None:
    shown = SHOWN.findall(PAGE.read_text(encoding="utf-8"))
    assert [path for path, _ in shown] == [
        f"examples/echo_service/{name}"
        for name in ("echo_service/contract.py", "echo_service/service.py", "pyproject.toml", "ragq.yml", "ask.py")
    ]
    for path, code in shown:
        assert code == (ROOT / path).read_text(encoding="utf-8"), path


def test_the_examples_settings_are_valid() -> None:
    config = load(EXAMPLE / "ragq.yml", env={}).config
    assert config.enabled_services == ["echo"]
    assert yaml.safe_load((EXAMPLE / "ragq.yml").read_text())["services"]["echo"]["options"] == {"mark": "!"}
