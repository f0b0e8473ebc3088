"""docs/protocol.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clients import bounds, frames, packing, system, wire
from clients.errors import BY_REASON
from services.legacy import COMMANDS

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table after a heading, without its head."""
    after = PAGE.split(heading, 1)[1]
    table = []
    for line in re.split(r"\n\n(?=\|)", after, maxsplit=1)[1].splitlines():
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return table[2:]


def test_kinds_are_those_of_the_code() -> None:
    assert {row[0]: int(row[1]) for row in rows("### Kinds")} == {kind.name: kind.value for kind in wire.Kind}


def test_flags_are_those_of_the_code() -> None:
    assert {row[0]: int(row[1]) for row in rows("### Flags")} == {flag.name: flag.value for flag in wire.Flag}


def test_header_fields_add_up_to_the_header() -> None:
    assert sum(int(row[1]) for row in rows("## Envelope")) == wire.HEADER.size


@pytest.mark.parametrize("row", rows("## Bodies and arrays"), ids=lambda row: row[0])
def test_limits_are_those_of_the_code(row: list[str]) -> None:
    assert int(row[1]) in [getattr(module, row[0], None) for module in (wire, packing, frames, bounds)]


def test_reasons_are_those_of_the_code() -> None:
    told = {row[0]: (int(row[1]), row[2] == "yes") for row in rows("## Errors")}
    assert told == {reason: (cls.code, cls.retryable) for reason, cls in BY_REASON.items()}


def test_older_commands_are_those_of_the_code() -> None:
    told = {row[0]: set(row[1].split(", ")) for row in rows("## The older profile")}
    assert told == {service: set(commands) for service, commands in COMMANDS.items()}


def test_version_is_that_of_the_code() -> None:
    assert f"protocol, version {wire.VERSION}" in PAGE


def test_built_in_methods_are_those_of_the_code() -> None:
    told = {row[0]: row[1] for row in rows("## Built-in methods")}
    expected = {method.name: "everyone" for method in system.FOR_ALL}
    expected |= {method.name: "administrators" for method in system.FOR_ADMINS}
    assert told == expected
