"""The compiler and the simulator, and what is compiled once for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from _pytest.terminal import TerminalReporter

from clients.errors import ModelNotLoaded
from compile import giving_way
from compile.decoder import Shape
from compile.tools import Tools, find

from .small_bundles import chat_checkpoint, compiled, embedding_checkpoint, reranking_checkpoint

# What tells whether a checkpoint still becomes a model that computes the same.
CORE = "tests/compile/test_compiled.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The core comes first, so that its time has in it what is compiled once for all."""
    items.sort(key=lambda item: not item.nodeid.startswith(CORE))


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    reports = [report for group in terminalreporter.stats.values() for report in group]
    core_s = sum(report.duration for report in reports if getattr(report, "nodeid", "").startswith(CORE))
    if core_s:
        terminalreporter.write_line(f"SOPHON: compiled, run in the simulator and compared with torch in {core_s:.1f} s")


@pytest.fixture(scope="session")
def tools() -> Tools:
    try:
        found = find()
    except ModelNotLoaded as error:
        pytest.skip(f"{error.message}: {error.help}")
    giving_way.build(found)
    return found


@pytest.fixture(scope="session")
def embed_bundle(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("embed")
    return compiled(tools, embedding_checkpoint(place / "checkpoint"), place / "bundle")


@pytest.fixture(scope="session")
def rerank_bundle(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("rerank")
    return compiled(tools, reranking_checkpoint(place / "checkpoint"), place / "bundle", Shape(1, 32), Shape(1, 128))


@pytest.fixture(scope="session")
def chat_bundle(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("chat")
    return compiled(tools, chat_checkpoint(place / "checkpoint"), place / "bundle", Shape(1, 16), Shape(1, 64))
