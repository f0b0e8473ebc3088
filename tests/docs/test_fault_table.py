"""tests/chaos/README.md names tests that there are, and every test of that folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CHAOS = Path(__file__).parents[1] / "chaos"
PAGE = (CHAOS / "README.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`([\w./]+\.py)::(test_\w+)`", PAGE)
OF_THE_TOOLS = {"test_relay.py"}


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_named_test_is_there(file: str, name: str) -> None:
    assert re.search(rf"^(async )?def {name}\(", (CHAOS / file).read_text(encoding="utf-8"), re.MULTILINE)


def test_every_file_of_faults_is_named() -> None:
    assert {file.name for file in CHAOS.glob("test_*.py")} - OF_THE_TOOLS == {f for f, _ in NAMED if "/" not in f}
