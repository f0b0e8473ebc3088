"""README.md tells what works: its commands are those of the gate, its links lead somewhere, its files exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_gate_installs_with_the_test_command_of_the_readme() -> None:
    install = "install -c constraints.txt -e '.[dev]'"
    assert install in README
    assert f"pip install -q {install.removeprefix('install ')}" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")]), ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_file_tree_is_that_of_the_checkout() -> None:
    tree = README.split("## What is where", 1)[1].split("```")[1]
    for line in tree.strip().splitlines():
        assert (ROOT / line.split()[0]).exists(), line


def test_the_limits_do_not_deny_what_has_a_page() -> None:
    limits = README.split("## Limits of this release", 1)[1]
    assert not [word for word in ("keys", "CURVE", "metrics", "security") if word in limits]


def test_exit_codes_are_those_of_the_command_line() -> None:
    table = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for code in re.findall(r"^\| (\d) \|", README, re.MULTILINE):
        assert f"| {code} |" in table
