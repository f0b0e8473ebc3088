"""How do the tests call the face?"""

from __future__ import annotations

import json
from typing import Any

from starlette.testclient import TestClient

from tests.unit.cli.desk import GENERATOR

HELLO = [{"role": "user", "content": "hello you"}]


def chat(http: TestClient, **body: object) -> Any:
    return http.post("/v1/chat/completions", json={"model": GENERATOR, "messages": HELLO, **body})


def events(text: str) -> list[Any]:
    frames = [frame.removeprefix("data: ") for frame in text.split("\n\n") if frame]
    return [frame if frame == "[DONE]" else json.loads(frame) for frame in frames]
