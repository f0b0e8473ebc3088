"""Strict reading of maps into dataclasses, with errors that name the field by its path."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.errors import BadRequest
from clients.reading import nearest, read


@dataclass(frozen=True)
class Leaf:
    size: int
    name: str = "x"


@dataclass(frozen=True)
class Tree:
    leaf: Leaf = field(default_factory=lambda: Leaf(1))
    leaves: list[Leaf] = field(default_factory=list)
    pair: tuple[str, int] = ("a", 1)
    many: tuple[float, ...] = ()
    by_name: dict[str, Leaf] = field(default_factory=dict)
    either: int | str | None = None
    kind: Literal["one", "two", 3] = "one"
    share: float = 0.0
    is_on: bool = False
    data: bytes = b""
    array: np.ndarray | None = None
    anything: Any = None
    counted: int = field(default=0, init=False)


def test_a_whole_map_becomes_the_dataclass() -> None:
    tree = read(
        Tree,
        {
            "leaf": {"size": 2}, "leaves": [{"size": 3, "name": "y"}], "pair": ["b", 2], "many": [1, 2.5],
            "by_name": {"z": {"size": 4}}, "either": "text", "kind": 3, "share": 1, "is_on": True, "data": b"d",
            "array": np.zeros(2), "anything": [{}],
        },
    )  # fmt: skip
    assert tree.leaf == Leaf(2)
    assert tree.leaves == [Leaf(3, "y")]
    assert (tree.pair, tree.many) == (("b", 2), (1.0, 2.5))
    assert tree.by_name == {"z": Leaf(4)}
    assert (tree.either, tree.kind, tree.share, tree.is_on, tree.data) == ("text", 3, 1.0, True, b"d")
    assert isinstance(tree.share, float)
    assert read(Tree, {}) == Tree()


@pytest.mark.parametrize(
    ("given_map", "told", "help_text"),
    [
        ({"lef": {}}, "unknown key 'lef'", "did you mean 'leaf'?"),
        ({"zzzzzz": 1}, "unknown key 'zzzzzz'", "known here: anything, array"),
        ({"counted": 1}, "unknown key 'counted'", ""),
        ({"leaf": {"sise": 1}}, "unknown key 'leaf.sise'", "did you mean 'size'?"),
        ({"leaf": {}}, "missing key 'leaf.size'", ""),
        ({"leaf": 1}, "leaf: expected a mapping, got int", ""),
        ({"leaf": None}, "leaf: expected a mapping, got nothing", ""),
        ({"leaves": {}}, "leaves: expected a list, got dict", ""),
        ({"leaves": [{"size": 1}, {"size": "1"}]}, "leaves[1].size: expected int, got str", ""),
        ({"pair": ["a"]}, "pair: expected 2 items, got 1", ""),
        ({"pair": "ab"}, "pair: expected a list, got str", ""),
        ({"many": ["a"]}, "many[0]: expected float, got str", ""),
        ({"by_name": []}, "by_name: expected a mapping, got list", ""),
        ({"by_name": {1: {}}}, "by_name: expected str, got int", ""),
        ({"either": 1.5}, "either: expected int or str, got float", ""),
        ({"kind": "three"}, "kind: 'three' is not one of one, two, 3", ""),
        ({"kind": 3.0}, "kind: 3.0 is not one of one, two, 3", ""),
        ({"kind": np.array(["one", "two"])}, "kind: ndarray is not one of one, two, 3", ""),
        ({"share": True}, "share: expected float, got bool", ""),
        ({"share": 10**400}, "share: a number beyond what a float holds", ""),
        ({"is_on": 1}, "is_on: expected bool, got int", ""),
        ({"data": "text"}, "data: expected bytes, got str", ""),
        ({"array": [1.0]}, "array: expected ndarray, got list", ""),
        ([], "Tree: expected a mapping, got list", ""),
        (None, "Tree: expected a mapping, got nothing", ""),
    ],
)
def test_a_wrong_map_is_refused_by_path(given_map: object, told: str, help_text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(Tree, given_map)
    assert caught.value.message == told
    assert help_text in caught.value.help


def test_paths_begin_where_the_map_stands() -> None:
    with pytest.raises(BadRequest, match=r"'llm\.leaf\.sise'"):
        read(Tree, {"leaf": {"sise": 1}}, "llm")


def test_a_dataclass_that_is_one_already_is_kept() -> None:
    leaf = Leaf(9)
    assert read(Tree, {"leaf": leaf}).leaf is leaf


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=8,
)
KNOWN = st.sampled_from([name for name in Tree.__dataclass_fields__ if name != "counted"])


@given(st.dictionaries(KNOWN, ANY, max_size=4) | ANY)
def test_whatever_comes_is_read_or_refused(value: object) -> None:
    with suppress(BadRequest):
        assert isinstance(read(Tree, value), Tree)


def test_a_hint_names_the_nearest_word_or_all_of_them() -> None:
    assert nearest("serch", ["search", "status"]) == "did you mean 'search'?"
    assert nearest("xyz", ["b", "a"]) == "known here: a, b"
