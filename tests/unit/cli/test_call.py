"""What ``ragq call`` sends and prints."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import Result

from clients.errors import BadRequest
from tests.unit.cli.desk import Desk
from ui.cli.call import known

Run = Callable[..., Result]


def test_a_reply_is_printed_as_json_with_its_arrays(ragq: Run) -> None:
    found = json.loads(ragq("call", "llm.embed", '{"texts": ["one", "two"]}').stdout)
    assert len(found["vectors"]) == 2
    assert found["model"] == "toy-embed"


def test_the_request_may_come_from_standard_input(ragq: Run) -> None:
    result = ragq("call", "llm.embed", "-", stdin='{"texts": ["one"]}')
    assert len(json.loads(result.stdout)["vectors"]) == 1


def test_a_stream_is_a_line_per_event_and_the_reply_last(ragq: Run) -> None:
    result = ragq("call", "llm.generate", '{"prompt": "hello there"}')
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(lines) > 1
    assert all("text" in line for line in lines)
    assert "finish_reason" in lines[-1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("llm",), "names no method"),
        (("llm.embeded",), "did you mean 'llm.embed'?"),
        (("lmm.embed",), "did you mean 'llm'?"),
        (("llm.embed", "{"), "is not JSON"),
        (("llm.embed", "[]"), "is not a JSON object"),
        (("llm.embed", '{"text": []}'), "did you mean 'texts'?"),
    ],
)
def test_a_call_that_cannot_be_made_says_why(ragq: Run, arguments: tuple[str, ...], said: str) -> None:
    error = ragq("call", *arguments).exception
    assert said in str(error)
    assert isinstance(error, BadRequest)  # which ends the command with 2


def test_every_method_of_the_contracts_is_known(desk: Desk) -> None:
    assert {"llm.models", "index.search", "tuning.submit"} <= set(known())
