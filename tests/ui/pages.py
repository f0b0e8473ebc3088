"""Pages as a new tab sees them, run without a browser."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from streamlit.testing.v1 import AppTest

from ui.labels import Language
from ui.parts import prose

APP = str(Path(__file__).parents[2] / "ui" / "app.py")
WAIT_S = 20.0


def opened(page: str = "chat", language: Language = "en", **query: str) -> AppTest:
    """A page as a new tab sees it."""
    prose._component.clear()  # type: ignore[attr-defined]  # each test runner is a runtime of its own
    app = AppTest.from_file(APP, default_timeout=WAIT_S)
    app.query_params.update({"lang": language, **query})
    app.run()
    if page != "chat":
        app.switch_page(f"screens/{page}.py").run()
    assert not app.exception, app.exception
    return app


def shown(app: AppTest) -> str:
    """All words of the page."""
    parts = [*app.main, *app.sidebar]
    return "\n".join(str(part.value) for part in parts if getattr(part, "value", None) is not None)


def shown_everywhere(app: AppTest) -> str:
    """All words of the page and of a dialog above it."""
    parts = [*app.markdown, *app.caption, *app.text]
    return "\n".join(part.value for part in parts)


def query(app: AppTest, name: str) -> str:
    """A value of the address; the test runner gives given values as lists and written ones as they are."""
    value = app.query_params.get(name, "")
    return value if isinstance(value, str) else value[-1]


def until(app: AppTest, done: Callable[[AppTest], bool]) -> AppTest:
    """Draw the page again until it shows what is expected."""
    deadline = time.monotonic() + WAIT_S
    while not done(app.run()):
        assert not app.exception
        assert time.monotonic() < deadline, shown(app)
        time.sleep(0.05)
    return app
