"""The default install stays what it is said to be: no torch, and no heavier than it has to be."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution, requires

import pytest
from packaging.requirements import Requirement

from tests.conftest import ROOT

MAX_MB = 1050
HEAVY = {"torch", "transformers", "sentence-transformers", "peft", "trl", "triton", "tensorflow", "jax"}


def closure(names: list[str]) -> set[str]:
    """Names of everything that an install of ``names`` brings here."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in found:
            continue
        try:
            needs = requires(name) or []
        except PackageNotFoundError:
            continue
        found.add(name)
        waiting += [r.name for r in map(Requirement, needs) if r.marker is None or r.marker.evaluate({"extra": ""})]
    return found


@pytest.fixture(scope="module")
def installed() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return closure([Requirement(r).name for r in project["dependencies"]])


def test_default_install_brings_no_torch(installed: set[str]) -> None:
    assert not installed & HEAVY


def test_default_install_stays_below_its_size(
    installed: set[str], record_property: Callable[[str, object], None]
) -> None:
    def size(name: str) -> int:
        dist = distribution(name)
        return sum(p.stat().st_size for f in dist.files or [] if (p := f.locate()).suffix != ".pyc" and p.is_file())  # type: ignore[attr-defined]

    sizes = {name: size(name) / 1e6 for name in installed}
    total = sum(sizes.values())
    largest = ", ".join(f"{name} {mb:.0f}" for name, mb in sorted(sizes.items(), key=lambda item: -item[1])[:8])
    record_property("default_install_mb", round(total))
    assert total <= MAX_MB, f"{len(sizes)} packages, {total:.0f} MB; largest: {largest}"
