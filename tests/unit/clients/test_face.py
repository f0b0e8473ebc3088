"""What ``import clients`` gives, and what it does not load."""

from __future__ import annotations

import subprocess
import sys

import pytest

import clients

pytestmark = pytest.mark.process

HEAVY = ("torch", "yaml", "streamlit", "click", "rich", "chromadb", "openvino", "starlette", "transformers")


def loaded_after(statement: str) -> set[str]:
    program = f"import sys\n{statement}\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    return set(run.stdout.split())


def test_the_face_exports_exactly_its_sorted_list() -> None:
    assert all(getattr(clients, name).__name__ == name for name in clients.__all__)
    assert set(clients.__all__) <= set(dir(clients))
    public = sorted(
        name
        for name, value in vars(clients).items()
        if not name.startswith("_") and type(value).__name__ != "module" and name != "annotations"
    )
    assert clients.__all__ == sorted(clients.__all__)
    assert public == clients.__all__


@pytest.mark.parametrize("module", ["clients", "services.worker", "proxies.proxy"])
def test_importing_it_loads_nothing_heavy(module: str) -> None:
    assert not set(HEAVY) & loaded_after(f"import {module}")


def test_a_program_pays_only_for_what_it_uses() -> None:
    loaded = loaded_after("from clients import Ragq")
    assert "clients.llm" in loaded
    assert not {"asyncio", "concurrent.futures", "clients.aio", "clients.index", "clients.rag"} & loaded


def test_a_proxy_needs_no_part_of_the_sdk_that_people_use() -> None:
    assert not {"asyncio", "clients.mesh", "clients.llm", "clients.index"} & loaded_after("import proxies.proxy")


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'clients' has no attribute 'Nonsense'"):
        clients.Nonsense  # type: ignore[attr-defined]  # noqa: B018


def test_the_function_is_found_though_its_module_has_the_same_name() -> None:
    loaded_after("import clients.waterfall\nfrom clients import waterfall\nassert callable(waterfall)")


def test_the_parts_of_a_mesh_are_made_once() -> None:
    with clients.Ragq(llm="tcp://127.0.0.1:1", index="tcp://127.0.0.1:2") as mesh:
        assert mesh.index is mesh.index
        assert mesh.tuning is mesh.tuning
