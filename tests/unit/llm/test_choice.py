"""What was chosen is read back by everyone, whole or not at all, and holds while ragq.yml says the same."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest

from clients.config import Model
from clients.errors import BadRequest
from clients.models import Reload
from services.llm.choice import Choice, digest, settings_of

SECTION = Model("a-model", api_key="secret words")
WISH = Reload("embed", "another", dtype="int8", release_first=True)


def test_a_choice_is_seen_once_by_everyone_else(tmp_path):
    writer, reader = (Choice(tmp_path, "embed", SECTION) for _ in range(2))
    assert reader.look() is None
    writer.keep(WISH)
    assert writer.look() is None, "it knows what it wrote"
    assert reader.look() == WISH
    assert reader.look() is None
    assert Choice(tmp_path, "embed", SECTION).look() == WISH


def test_a_wish_for_what_the_configuration_says_forgets_the_choice(tmp_path):
    choice, other = (Choice(tmp_path, "embed", SECTION) for _ in range(2))
    choice.keep(WISH)
    other.look()
    choice.keep(Reload("embed"))
    assert not choice.path.exists()
    assert other.look() == Reload("embed")
    choice.keep(Reload("embed", SECTION.name))
    assert not choice.path.exists()


@pytest.mark.parametrize("change", [{"name": "edited"}, {"dtype": "fp32"}, {"options": {"x": 1}}, {"max_tokens": 9}])
def test_an_edited_section_has_the_last_word(tmp_path, change):
    Choice(tmp_path, "embed", SECTION).keep(WISH)
    assert Choice(tmp_path, "embed", replace(SECTION, **change)).look() == Reload("embed")


def test_roles_are_kept_apart_and_nothing_secret_is_written(tmp_path):
    choice = Choice(tmp_path, "embed", SECTION)
    choice.keep(WISH)
    assert "secret" not in choice.path.read_text()
    assert Choice(tmp_path, "rerank", SECTION).look() is None
    assert [path.name for path in tmp_path.iterdir()] == ["embed.json"], "no work file is left"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"section": 1}',
        json.dumps({"section": digest(SECTION), "wish": {"role": "embed", "dtype": "x"}}),
    ],
)
def test_a_broken_file_is_reported_and_asks_for_nothing(tmp_path, caplog, text):
    choice = Choice(tmp_path, "embed", SECTION)
    choice.path.write_text(text)
    with caplog.at_level(logging.WARNING):
        assert choice.look() == Reload("embed")
    assert "not readable" in caplog.text


def test_a_wish_replaces_what_it_names_and_leaves_the_rest():
    section = Model("a", "openvino", "bf16", "cpu", max_tokens=5, instruction="find")
    assert settings_of(section, Reload("embed")) == section
    assert settings_of(section, Reload("embed", "b", dtype="fp32")) == replace(section, name="b", dtype="fp32")
    with pytest.raises(BadRequest, match="no dtype 'int3'"):
        settings_of(section, Reload("embed", dtype="int3"))
