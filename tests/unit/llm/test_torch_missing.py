"""Without torch, each role of its backend names the extra to install."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from clients.config import Model
from clients.errors import MissingExtra
from services.llm.backends.registry import Site, backend
from services.models import Shelf


@pytest.mark.skipif(find_spec("torch") is not None, reason="torch is installed")
@pytest.mark.parametrize("role", ["embedder", "scorer", "generator"])
def test_without_torch_the_extra_is_named(tmp_path, role):
    with pytest.raises(MissingExtra, match="needs the package 'torch'") as failure:
        getattr(backend("torch"), role)(Model("m", "torch"), Site(Shelf(tmp_path), 1, tmp_path / "cache"))
    assert failure.value.help == "pip install 'ragq[torch]'"
