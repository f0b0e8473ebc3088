"""The distribution built from clients/ works alone, under the name ragq, in an empty environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, LiveMesh

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(300)]

PROGRAM = """
import sys
from ragq import Ragq
with Ragq(llm=sys.argv[1], index=sys.argv[2]) as mesh:
    print(mesh.llm.embed(["one", "two"]).shape)
    mesh.index.add("small", texts=["The cafe is closed on Saturdays."]).wait(30)
    print(mesh.ask("small", "When is the cafe closed?", answer="extractive", threshold=0.0).text)
assert not {"clients", "yaml", "click", "chromadb"} & set(sys.modules)
"""


def test_a_program_in_an_empty_environment_calls_a_live_mesh(toy_mesh: LiveMesh, tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT / "clients")]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "install", "-q", str(wheel)], check=True)
    mesh = toy_mesh.client().config
    addresses = [mesh.llm.front_end.address, mesh.index.front_end.address]
    run = subprocess.run(
        [str(python), "-c", PROGRAM, *addresses], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("(2, ")
    assert "closed on Saturdays" in run.stdout
    installed = subprocess.run([str(python), "-m", "pip", "freeze"], capture_output=True, text=True, check=True).stdout
    names = {line.split("==")[0].split(" ")[0] for line in installed.splitlines()}
    assert names == {"ragq-client", "msgpack", "numpy", "pyzmq"}
