"""The list of those who may come: what it keeps, and which lists are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from clients.allowed import Member, is_pattern, read_allowed, write_allowed
from clients.errors import ConfigError
from clients.keys import new_pair


def test_the_list_comes_back_as_it_was(tmp_path: Path) -> None:
    members = [
        Member("alice", new_pair().public, ["client"], calls=["llm.*", "index.search"], created="2026-11-03T10:00:00Z"),
        Member("bob", new_pair().public, ["worker", "client"], serves=["llm"], revoked="2026-11-04T10:00:00Z"),
        Member("小明", new_pair().public, ["admin"]),
    ]
    write_allowed(tmp_path / "allowed.yml", members)
    assert read_allowed(tmp_path / "allowed.yml") == members


def test_a_list_written_by_hand_needs_no_more_than_key_and_roles(tmp_path: Path) -> None:
    key = new_pair().public
    (tmp_path / "allowed.yml").write_text(yaml.safe_dump({"alice": {"public": key, "roles": ["client"]}}))
    assert read_allowed(tmp_path / "allowed.yml") == [Member("alice", key, ["client"])]


KEY = new_pair().public


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (["alice"], "expected a mapping"),
        ({"alice": None}, "expected a mapping"),
        ({"alice": {"public": "short", "roles": []}}, "alice.public is not a key"),
        ({"alice": {"public": KEY, "roles": ["king"]}}, "alice.roles"),
        ({"alice": {"public": KEY, "roles": [], "calls": ["search"]}}, "'search' is no method"),
        ({"alice": {"public": KEY, "roles": [], "rights": 1}}, "unknown key"),
        ({name: {"public": KEY, "roles": []} for name in ("alice", "bob")}, "the same key"),
    ],
)
def test_a_wrong_list_is_refused_with_the_place(tmp_path: Path, document: object, says: str) -> None:
    (tmp_path / "allowed.yml").write_text(yaml.safe_dump(document))
    with pytest.raises(ConfigError, match=says):
        read_allowed(tmp_path / "allowed.yml")


def test_a_name_that_stands_there_twice_is_refused(tmp_path: Path) -> None:
    entry = f"alice: {{public: '{KEY}', roles: [client]}}\n"
    (tmp_path / "allowed.yml").write_text(entry + entry)
    with pytest.raises(ConfigError, match="'alice' stands there twice"):
        read_allowed(tmp_path / "allowed.yml")


@pytest.mark.parametrize("text", ["a: [", "a: !!python/object:os.system {}", "\x00", "[" * 5000])
def test_what_is_no_yaml_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "allowed.yml").write_text(text)
    with pytest.raises(ConfigError, match="is not YAML"):
        read_allowed(tmp_path / "allowed.yml")


def test_a_list_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read_allowed(tmp_path / "allowed.yml")


def test_which_texts_name_methods() -> None:
    assert all(map(is_pattern, ("llm.*", "index.search", "my-service.do_it")))
    assert not any(map(is_pattern, ("", "*", "llm", "llm.", ".search", "llm.s*", "llm.a.b", "llm.* ")))
