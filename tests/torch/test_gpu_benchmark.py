"""The benchmark for a GPU runs through, so that it does not fail on a machine that is lent for minutes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT

torch = pytest.importorskip("torch", reason="pip install 'ragq[torch]'")

pytestmark = [pytest.mark.torch, pytest.mark.timeout(300)]


def run(*arguments: str) -> str:
    script = ROOT / "benchmarks" / "gpu.py"
    done = subprocess.run(
        [sys.executable, str(script), *arguments], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_rehearsal_fills_every_row():
    told = run("--rehearse")
    assert "FAILED" not in told
    for row in ("matrix product", "decode, one answer", "rerank 20 x 150", "embed, engine in process"):
        assert row in told


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_it_says_so():
    assert run() == "no CUDA device: these figures exist on a GPU only (--rehearse tries the script itself)\n"
