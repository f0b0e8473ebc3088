"""Do the recipes of docs/remote.md load, and does it know every option."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from clients.settings import load
from services.llm.backends.registry import MODULES
from services.llm.backends.remote.address import parse_address
from services.llm.backends.remote.options import Options, read_options

PAGE = (Path(__file__).parents[2] / "docs" / "remote.md").read_text(encoding="utf-8")
RECIPES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_loads(recipe: str, tmp_path: Path) -> None:
    file = tmp_path / "ragq.yml"
    file.write_text(recipe, encoding="utf-8")
    llm = load(file, env={}).config.llm
    remote = [(role, model) for role in ("embed", "rerank", "generate") if (model := getattr(llm, role)).url]
    assert remote
    for role, model in remote:
        assert model.backend == "remote"
        assert model.backend in MODULES
        assert read_options(model, role)
        assert parse_address(model.url, "url")


def test_every_option_is_on_the_page_with_its_default() -> None:
    section = PAGE.partition("## Options")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+?`) \| (.+?) \|", section, re.MULTILINE)
    told = {name: default.strip("`") for names, default in rows for name in re.findall(r"`(\w+)`", names)}
    defaults = {f.name: f.default_factory() if f.default is MISSING else f.default for f in fields(Options)}  # type: ignore[misc]
    assert set(told) == set(defaults)
    for name, default in defaults.items():
        shown = told[name].replace("empty", "").replace("found out", "")
        assert shown == (f"{default:g}" if isinstance(default, float) else str(default)), name
