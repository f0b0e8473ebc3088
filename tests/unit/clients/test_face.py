"""What ``import clients`` gives, and what it does not load."""

from __future__ import annotations

import subprocess
import sys

import pytest

import clients

pytestmark = pytest.mark.process

HEAVY = ("torch", "yaml", "streamlit", "click", "rich", "chromadb", "openvino", "starlette", "transformers")


def test_the_face_exports_exactly_its_sorted_list() -> None:
    public = sorted(
        name
        for name, value in vars(clients).items()
        if not name.startswith("_") and type(value).__name__ != "module" and name != "annotations"
    )
    assert clients.__all__ == sorted(clients.__all__)
    assert public == clients.__all__


@pytest.mark.parametrize("module", ["clients", "services.worker", "proxies.proxy"])
def test_importing_it_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert loaded.stdout.split() == []
