"""A live mesh with toy models and a small handbook, for the tests of pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import streamlit as st

from clients import Ragq
from tests.conftest import TOY, LiveMesh, merged, start_mesh
from tests.ui.pages import WAIT_S

HANDBOOK = {
    "quick-start.md": b"# Start\n\nRun ragq up to start ragq. Ctrl-C stops it.\n\nThe page is at port 8501.",
    "faq.md": b"# Questions\n\nRagq needs no graphics card. It runs on the processor.",
    "empty.pdf": b"%PDF-1.4 this is no PDF",
}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveMesh]:
    directory = tmp_path_factory.mktemp("pages")
    (directory / "files").mkdir()
    (directory / "files" / "notes.txt").write_text("Notes on the server.", encoding="utf-8")
    web = {"enabled": True, "search": "folder", "search_folder": str(directory / "files")}
    settings = merged(TOY, {"index": {"roots": [str(directory / "files")], "web": web}})
    mesh = start_mesh(directory, settings)
    try:
        mesh.wait_ready()
        yield mesh
    finally:
        mesh.stop()


@pytest.fixture(scope="module")
def mesh(live: LiveMesh) -> Ragq:
    client = live.client()
    client.index.create_collection("handbook", "ragq handbook")
    client.index.add("handbook", files=HANDBOOK).wait(WAIT_S)
    return client


@pytest.fixture
def page_config(live: LiveMesh, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RAGQ_CONFIG", str(live.config))
    monkeypatch.setenv("RAGQ_HOME", str(live.home))
    st.cache_resource.clear()
    st.cache_data.clear()
    yield
    st.cache_resource.clear()
