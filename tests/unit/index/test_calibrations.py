"""Calibrations are kept with their collection, by the models that they were fitted for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clients.calibration import (
    CALIBRATION,
    FORGET_CALIBRATION,
    SET_CALIBRATION,
    Calibration,
    Estimate,
    Quality,
    Scorers,
)
from clients.documents import CollectionName
from clients.errors import BadRequest, NotFound
from clients.index import DELETE_COLLECTION
from services.index import schema
from services.index.migrations import FITTED, MIGRATIONS
from services.index.schema import Database

HERE = Scorers("toy", "toy", "evidence 1 top 8")
ONE = Calibration(
    "papers", HERE, 0.7, -1.5, t_low=0.2, t_high=0.6, target="precision=0.95", mix=[0.7, 0.1, 0.2],
    quality=Quality(50, 50, 50, 40, {"auroc_easy": Estimate(0.98, 0.96, 0.99)}),
)  # fmt: skip


def kept(desk: Any) -> list[Calibration]:
    found = desk.call(CALIBRATION, CollectionName("papers")).calibrations
    assert all(c.created_at > 0 for c in found)
    return [replace(c, created_at=0.0) for c in found]


def test_a_calibration_comes_back_as_it_was_after_a_restart(open_desk: Callable[..., Any]) -> None:
    desk = open_desk()
    desk.add_and_wait("The wing gives lift.")
    assert kept(desk) == []
    desk.call(SET_CALIBRATION, ONE)
    desk.close()
    assert kept(open_desk()) == [ONE]


def test_one_is_kept_for_each_pair_of_models_and_a_new_fit_replaces_the_old_one(open_desk: Callable[..., Any]) -> None:
    desk = open_desk()
    desk.add_and_wait("The wing gives lift.")
    other = replace(ONE, scorers=replace(HERE, embedder="bge-m3"))
    better = replace(ONE, slope=0.9)
    for each in (ONE, other, better):
        desk.call(SET_CALIBRATION, each)
    assert sorted(kept(desk), key=lambda c: c.scorers.embedder) == [other, better]
    desk.call(FORGET_CALIBRATION, CollectionName("papers"))
    assert kept(desk) == []


def test_it_goes_with_its_collection(open_desk: Callable[..., Any]) -> None:
    desk = open_desk()
    desk.add_and_wait("The wing gives lift.")
    desk.call(SET_CALIBRATION, ONE)
    desk.call(DELETE_COLLECTION, CollectionName("papers"))
    with pytest.raises(NotFound, match="papers"):
        desk.call(CALIBRATION, CollectionName("papers"))
    desk.add_and_wait("The wing gives lift.")
    assert kept(desk) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"t_low": 0.6}, "not in order"),
        ({"t_high": 1.2}, "not in order"),
        ({"slope": -0.1}, "no rising curve"),
        ({"slope": float("nan")}, "no rising curve"),
        ({"knots": [1.0, 0.0], "levels": [0.1, 0.2]}, "do not rise"),
        ({"knots": [0.0, 1.0], "levels": [0.2, 0.1]}, "do not rise"),
        ({"knots": [0.0], "levels": []}, "do not rise"),
    ],
)
def test_what_is_no_calibration_is_refused(open_desk: Callable[..., Any], change: dict[str, Any], words: str) -> None:
    desk = open_desk()
    desk.add_and_wait("The wing gives lift.")
    with pytest.raises(BadRequest, match=words):
        desk.call(SET_CALIBRATION, replace(ONE, **change))


def test_records_of_the_former_schema_open_with_everything_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "records.sqlite"
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", MIGRATIONS[: MIGRATIONS.index(FITTED)])
        old = Database(path)
        with old.write() as tx:
            tx.execute("INSERT INTO collections (name, title, created_at) VALUES ('papers', 'Papers', 1.0)")
        old.close()
    database = Database(path)
    assert [tuple(row) for row in database.read().execute("SELECT name, title FROM collections")] == [
        ("papers", "Papers")
    ]
    assert database.read().execute("SELECT count(*) FROM calibrations").fetchone()[0] == 0
    database.close()


def test_a_search_can_do_as_if_the_collection_lacked_a_document(open_desk: Callable[..., Any]) -> None:
    desk = open_desk()
    desk.add_and_wait("The wing gives lift to the plane.", "The tail gives balance.", "A boat floats.")
    whole = desk.search("what gives lift to the plane?")
    gold = whole.hits[0].document_id
    left = desk.search("what gives lift to the plane?", without=[gold])
    assert gold not in {hit.document_id for hit in left.hits}
    assert len(left.hits) == len(whole.hits) - 1
    assert left.coverage < whole.coverage
