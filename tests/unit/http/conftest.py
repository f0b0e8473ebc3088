from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from proxies.http import app
from tests.unit.cli.desk import Desk


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.index.add("handbook", texts=["the wing gives lift", "the tail gives balance"])
    return desk


@pytest.fixture
def http(desk: Desk) -> Iterator[TestClient]:
    with TestClient(app(desk.config, desk), base_url="http://127.0.0.1:7780", raise_server_exceptions=False) as client:
        yield client
