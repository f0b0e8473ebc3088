"""``--installed`` calls the vendor's ``model_deploy`` so that the same model comes out.

The real one runs where an environment of tpu-mlir is on PATH; elsewhere a double, over the compiler of the unpacked
wheel.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from compile import convert, verify
from compile.installed import DEPLOY
from compile.tools import VARIABLE, Tools
from services.models.bundle import read_bundle
from tests.conftest import ROOT

from .small_bundles import chat_checkpoint

pytestmark = [pytest.mark.tpusim, pytest.mark.timeout(300)]
DOUBLE = ROOT / "tests" / "doubles" / "tpu_mlir"


@pytest.fixture
def installed(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tools.root))
    if shutil.which(DEPLOY) is None:
        places = [DOUBLE, tools.root / "bin", Path(sys.executable).parent]
        monkeypatch.setenv("PATH", os.pathsep.join([*map(str, places), os.environ["PATH"]]))
        monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.mark.parametrize("dtype", ["bf16", "w8"])
@pytest.mark.usefixtures("installed")
def test_a_chat_model_comes_out_as_it_does_from_the_unpacked_wheel(tools, tmp_path, dtype):
    model, place = chat_checkpoint(tmp_path / "checkpoint", layers=1), tmp_path / "bundle"
    asked = [str(model.path), "--task", "chat", "--tokens", "16", "--dtype", dtype, "--installed"]
    made = CliRunner().invoke(convert.main, [*asked, "--output", str(place)])
    assert made.exit_code == 0, made.output
    assert "ms a further token" in made.output
    bundle = read_bundle(place)
    assert (bundle.tool, bundle.dtype) == ("tpu-mlir, installed", dtype)
    assert bundle.nets[0].latency_ms > bundle.nets[0].more_ms > 0
    said = CliRunner().invoke(verify.main, [str(place), "--checkpoint", str(model.path), "--tools", str(tools.root)])
    assert said.exit_code == 0, said.output


@pytest.mark.usefixtures("installed")
def test_what_the_vendors_program_says_when_it_fails_is_passed_on(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    model = chat_checkpoint(tmp_path / "checkpoint", layers=1)
    asked = [str(model.path), "--task", "chat", "--tokens", "16", "--installed", "--output", str(tmp_path / "bundle")]
    made = CliRunner().invoke(convert.main, asked)
    assert made.exit_code == 1
    assert "model_deploy failed with 1; it ends with:" in made.output
    assert "has no bin/tpuc-opt" in made.output
