"""docs/http.md against the HTTP face: every route, every example, every status."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from clients.config import Config
from proxies.http import app
from proxies.http_errors import STATUS
from tests.unit.cli.desk import GENERATOR, Desk

PAGE = (Path(__file__).parents[2] / "docs" / "http.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"```http\n(GET|POST) (\S+)\n\n?(.*?)```\n\n```json\n(.*?)```", re.DOTALL)
EXAMPLES = EXAMPLE.findall(PAGE)
NAMES = {"smollm2-135m-instruct": GENERATOR, "multilingual-e5-small": "toy-embed", "bge-reranker-v2-m3": "toy-rerank"}


def renamed(text: str) -> str:
    for name, ours in NAMES.items():
        text = text.replace(name, ours)
    return text


def shape(value: Any) -> Any:
    """Keys all the way down; of a list the first item; of timings and signals nothing, they depend on the way."""
    if isinstance(value, Mapping):
        return {key: None if key in ("timings", "scores", "ranks") else shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__ if not isinstance(value, int | float) or isinstance(value, bool) else "number"


@pytest.fixture(scope="module")
def http() -> TestClient:
    desk = Desk(Config())
    desk.index.add("handbook", texts=["The wing gives lift.", "The tail gives balance."])
    return TestClient(app(desk.config, desk), base_url="http://127.0.0.1")


@pytest.mark.parametrize(
    ("method", "path", "body", "reply"), EXAMPLES, ids=[f"{e[0]} {e[1]} {i}" for i, e in enumerate(EXAMPLES)]
)
def test_an_example_gets_an_answer_of_the_shape_shown(
    http: TestClient, method: str, path: str, body: str, reply: str
) -> None:
    response = http.request(method, path, content=renamed(body))
    assert response.status_code == 200, response.text
    assert shape(response.json()) == shape(json.loads(reply))


def test_every_route_is_on_the_page_and_no_other() -> None:
    listed = set(re.findall(r"^\| `((?:GET|POST) \S+)` \|", PAGE, re.MULTILINE))
    routes: Any = app(Config(), Desk()).routes
    served = {f"{'POST' if 'POST' in r.methods else 'GET'} {r.path.replace(':path', '')}" for r in routes}
    assert listed == served


def test_every_status_is_on_the_page() -> None:
    listed = {int(status) for status in re.findall(r"^\| (\d{3}) \|", PAGE, re.MULTILINE)}
    assert listed == {*map(int, STATUS.values()), 405, 421}
