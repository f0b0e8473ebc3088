"""The writer without weights has every control, and each one changes what it writes."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from clients.errors import BadRequest
from clients.llm import Generate, Generation, Message
from services.llm.backends.toy_writer import ToyGenerator, token_of
from services.service import Call

SAID = "the cat sat on the mat and the dog sat on the cat near the door of the old house by the river"
LOOSE: dict[str, Any] = {"temperature": 2.0, "seed": 1}


def written(**controls: Any) -> Generation:
    if "messages" not in controls:
        controls.setdefault("prompt", SAID)
    stream = ToyGenerator().generate(Generate(**controls), Call(time.monotonic() + 30))
    pieces = []
    while True:
        try:
            pieces.append(next(stream).text)
        except StopIteration as end:
            whole: Generation = end.value
            break
    assert "".join(pieces) == whole.text
    return whole


def test_greedily_it_repeats_what_was_said():
    assert written().text == f"You said: {SAID}"
    assert written().finish_reason == "stop"


@pytest.mark.parametrize(
    "controls",
    [
        {"temperature": 1.0},
        {"seed": 2},
        {"top_p": 0.3},
        {"top_k": 1},
        {"min_p": 0.9},
    ],
    ids=str,
)
def test_each_control_of_sampling_changes_the_text(controls):
    assert written(**LOOSE, max_tokens=20).text == written(**LOOSE, max_tokens=20).text
    assert written(**{**LOOSE, **controls}, max_tokens=20).text != written(**LOOSE, max_tokens=20).text


@pytest.mark.parametrize("filters", [{"top_k": 1}, {"top_p": 0.001}, {"min_p": 1.0}], ids=str)
def test_the_narrowest_filters_are_greedy(filters):
    assert written(**LOOSE, **filters).text == written().text


@pytest.mark.parametrize(
    "penalty",
    [{"presence_penalty": 2.0}, {"frequency_penalty": 2.0}, {"repetition_penalty": 5.0}],
    ids=str,
)
def test_penalties_drive_it_off_what_it_wrote(penalty):
    plain, penalised = written(max_tokens=21).text.split(), written(max_tokens=21, **penalty).text.split()
    assert len(set(penalised)) > len(set(plain)) or len(penalised) < len(plain)


def test_a_penalty_that_fades_at_once_is_none():
    assert written(max_tokens=21, presence_penalty=2.0).text != written(max_tokens=21).text
    assert written(max_tokens=21, presence_penalty=2.0, penalty_decay=0.1).text == written(max_tokens=21).text


def test_stop_tokens_end_it_and_banned_tokens_never_come():
    assert written(stop_tokens=[token_of(" sat")]).text == "You said: the cat"
    assert " mat" not in written(ban_tokens=[token_of(" mat")]).text


def test_a_template_makes_the_prompt():
    turns = [Message("user", "hi")]
    assert written(messages=turns).text == "You said: hi"
    options = {"enable_thinking": True}
    template = "{{ messages[0].content }}{% if enable_thinking %} hm{% endif %}"
    assert written(messages=turns, template=template, template_options=options).text == "You said: hi hm"


def test_json_fits_the_schema():
    assert json.loads(written(format="json").text) == {"said": SAID}
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "age": {"type": "integer", "minimum": 3},
            "of": {"$ref": "#/$defs/k"},
        },
        "$defs": {"k": {"enum": ["a", "b"]}},
    }
    value = json.loads(written(json_schema=json.dumps(schema), temperature=2.0).text)
    assert value == {"name": SAID, "age": 3, "of": "a"}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "#/nowhere"}, "'#/nowhere' is not in it"),
        ({"$ref": "#"}, "no end"),
        ({"type": "poem"}, "'poem' is not a type"),
    ],
)
def test_a_schema_that_is_not_understood_is_refused(schema, words):
    with pytest.raises(BadRequest, match=words):
        written(json_schema=json.dumps(schema))


def test_beams_come_best_first_with_their_scores():
    whole = written(beams=4, num_answers=3, max_tokens=6, length_penalty=0.5)
    assert len({beam.text for beam in whole.beams}) == 3
    assert whole.text == whole.beams[0].text
    scores = [beam.score for beam in whole.beams]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(whole.beams[0].log_probability / 6**0.5)
    assert whole.usage.completion_tokens == 18


def test_a_stop_text_cuts_each_beam():
    for beam in written(beams=3, num_answers=3, stop=[" cat"], max_tokens=8).beams:
        assert " cat" not in beam.text


def test_a_control_that_it_lacks_is_refused():
    with pytest.raises(BadRequest, match="unsupported control 'state' of backend toy"):
        written(state="poet")
