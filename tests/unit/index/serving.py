"""An LLM service whose present embedding model a test exchanges, and desks beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from clients.config import Config, Index, Model
from clients.models import RELOAD, Reload
from services.llm.service import LLMService

from .conftest import TOY, Desk, InProcess

OLD, NEW = "toy-64", "toy"


class Serving:
    """``toy-64`` serves at first."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._service = LLMService(Config(data_dir=str(home / "llm"), llm=replace(TOY, embed=Model(OLD, "toy"))))
        self._service.start()
        self.mesh = InProcess(self._service)
        self.desks: list[Desk] = []

    def serve(self, name: str) -> None:
        """Another model serves from now on."""
        self.mesh.call(RELOAD["embed"], Reload("embed", name))

    def desk(self, store: str = "memory", name: str = "index") -> Desk:
        """An Index service over the home of that name."""
        self.desks.append(Desk(self._home / name, self.mesh, Index(store=store, sample=False)))  # type: ignore[arg-type]
        return self.desks[-1]

    def close(self) -> None:
        for desk in self.desks:
            if desk.service._parts.lock._file is not None:
                desk.close()
        self._service.stop()
