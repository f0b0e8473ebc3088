"""Unit tests see no settings of the machine that they run on."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("RAGQ_")]:
        monkeypatch.delenv(name)
