from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from clients.config import Model
from services.llm.backends.base import Embedder, Generator, Scorer
from services.llm.backends.registry import Site
from services.llm.backends.remote.backend import BACKEND
from services.models import Shelf
from tests.unit.llm.remote.scripted import Scripted, serves_all

M = TypeVar("M", Embedder, Scorer, Generator)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted() as scripted:
        serves_all(scripted)
        yield scripted


class Loader:
    """Loads remote models and closes them when the test is over."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._models: list[Embedder | Scorer | Generator] = []

    def embedder(self, settings: Model) -> Embedder:
        return self._kept(BACKEND.embedder(settings, self._site))

    def scorer(self, settings: Model) -> Scorer:
        return self._kept(BACKEND.scorer(settings, self._site))

    def generator(self, settings: Model) -> Generator:
        return self._kept(BACKEND.generator(settings, self._site))

    def load(self, role: str, settings: Model) -> Embedder | Scorer | Generator:
        return {"embed": self.embedder, "rerank": self.scorer, "generate": self.generator}[role](settings)

    def close(self) -> None:
        for model in self._models:
            model.close()

    def _kept(self, model: M) -> M:
        self._models.append(model)
        return model


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Loader]:
    loader = Loader(Site(Shelf(tmp_path), 1, tmp_path / "cache"))
    yield loader
    loader.close()


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
