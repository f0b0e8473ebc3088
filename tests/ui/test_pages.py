"""Every page works in both languages against a live mesh with toy models."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from clients import Ragq
from tests.conftest import TOY, LiveMesh, merged, start_mesh
from ui import session
from ui.labels import LANGUAGES, Labels, Language
from ui.questions import SUGGESTIONS

APP = str(Path(__file__).parents[2] / "ui" / "app.py")
PAGES = {"chat": "chat.greeting", "collections": "collections.title", "ingest": "ingest.title"}
WAIT_S = 20.0
pytestmark = pytest.mark.mesh

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
    settings = merged(TOY, {"index": {"roots": [str(directory / "files")]}})
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


@pytest.fixture(autouse=True)
def _config(live: LiveMesh, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RAGQ_CONFIG", str(live.config))
    monkeypatch.setenv("RAGQ_HOME", str(live.home))
    st.cache_resource.clear()
    st.cache_data.clear()
    yield
    if session.desk.__wrapped__ is not None:  # type: ignore[attr-defined]  # Streamlit's wrapper
        st.cache_resource.clear()


def opened(page: str = "chat", language: Language = "en", **query: str) -> AppTest:
    """A page as a new tab sees it."""
    app = AppTest.from_file(APP, default_timeout=WAIT_S)
    app.query_params.update({"lang": language, **query})
    app.run()
    if page != "chat":
        app.switch_page(f"pages/{page}.py").run()
    assert not app.exception, app.exception
    return app


def shown(app: AppTest) -> str:
    """All words of the page."""
    parts = [*app.main, *app.sidebar]
    return "\n".join(str(part.value) for part in parts if getattr(part, "value", None) is not None)


def until(app: AppTest, done: Callable[[AppTest], bool]) -> AppTest:
    """Draw the page again until it shows what is expected."""
    deadline = time.monotonic() + WAIT_S
    while not done(app.run()):
        assert not app.exception
        assert time.monotonic() < deadline, shown(app)
        time.sleep(0.05)
    return app


def button(app: AppTest, label: str) -> object:
    return next(b for b in app.button if b.label.replace("\\", "") == label)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_in_both_languages(mesh: Ragq, page: str, language: Language) -> None:
    app = opened(page, language)
    assert app.header[0].value == Labels(language)(PAGES[page])
    assert [error.value for error in app.error if "PDF" not in error.value] == []
