"""The compiler and the simulator, and what is compiled once for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from clients.errors import ModelNotLoaded
from compile.decoder import Shape
from compile.tools import Tools, find

from .small_bundles import compiled, embedding_checkpoint, reranking_checkpoint


@pytest.fixture(scope="session")
def tools() -> Tools:
    try:
        return find()
    except ModelNotLoaded as error:
        pytest.skip(f"{error.message}: {error.help}")


@pytest.fixture(scope="session")
def embed_bundle(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("embed")
    return compiled(tools, embedding_checkpoint(place / "checkpoint"), place / "bundle")


@pytest.fixture(scope="session")
def rerank_bundle(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("rerank")
    return compiled(tools, reranking_checkpoint(place / "checkpoint"), place / "bundle", Shape(1, 32), Shape(1, 128))
