"""A control is in range and one of the backend's, or it is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from clients.errors import BadRequest
from clients.llm import Generate, Message
from services.llm.controls import SAMPLING, check_controls, refuse_unsupported, set_controls


@pytest.mark.parametrize(
    ("controls", "words"),
    [
        ({"min_p": -0.1}, "min_p"),
        ({"penalty_decay": 1.1}, "penalty_decay"),
        ({"stop_tokens": [-1]}, "stop_tokens"),
        ({"ban_tokens": [1] * 1025}, "ban_tokens takes up to 1024"),
        ({"beams": 17}, "beams is 17; allowed are 0 to 16"),
        ({"beams": 2, "num_answers": 3}, "num_answers is 3"),
        ({"num_answers": 2}, "num_answers is 2"),
        ({"beams": 2, "temperature": 1.0}, "a beam search neither samples"),
        ({"beams": 2, "format": "json"}, "a beam search neither samples"),
        ({"length_penalty": 9.0}, "length_penalty"),
        ({"json_schema": "{"}, "json_schema is not JSON"),
        ({"json_schema": "[" * 100_000}, "json_schema has 100000 characters"),
        ({"json_schema": "[" * 60_000}, "json_schema is not JSON"),
        ({"json_schema": "3"}, "json_schema is not a JSON object"),
        ({"json_schema": '{"items": {"type": "poem"}}'}, "'poem' is not a type"),
        ({"json_schema": '{"properties": {"a": {"$ref": "#/$defs/b"}}}'}, "'#/\\$defs/b' is not in it"),
        ({"template": "{{ messages }}"}, "give messages"),
        ({"template_options": {"enable_thinking": True}}, "give messages"),
        ({"messages": [Message("user", "x")], "template": "x" * 70_000}, "template has 70000"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_control_out_of_range_is_named(controls: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        check_controls(Generate(**controls))


def test_what_differs_from_the_defaults_is_set() -> None:
    assert set_controls(Generate(prompt="x", max_tokens=3, model="m")) == []
    assert set_controls(Generate(prompt="x", seed=0, top_k=0, stop=["a"])) == ["stop", "seed"]


def test_a_control_that_a_backend_lacks_is_refused_and_the_others_are_listed() -> None:
    refuse_unsupported(Generate(prompt="x", temperature=1.0, seed=3), SAMPLING, "small")
    with pytest.raises(BadRequest, match="unsupported control 'state' of backend small") as failure:
        refuse_unsupported(Generate(prompt="x", state="poet"), SAMPLING, "small")
    assert "temperature" in failure.value.help
