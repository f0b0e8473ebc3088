"""What was measured is printed after the tests: figures are read by people, only coarse bounds are asserted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Measured = Callable[[str, float, str], None]


@pytest.fixture
def measured(record_property: Callable[[str, object], None]) -> Measured:
    """Note a figure: what it is, how much, and its unit."""
    return lambda what, value, unit: record_property(what, f"{value:.3g} {unit}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [r for kind in ("passed", "failed") for r in terminalreporter.stats.get(kind, [])]
    lines = [f"{what}: {value}" for report in reports for what, value in getattr(report, "user_properties", [])]
    if lines:
        terminalreporter.section("measured")
        terminalreporter.write_line("\n".join(lines))
