"""What was fitted to a collection, by the models that it was fitted for."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from itertools import pairwise

from clients.calibration import Calibration
from clients.errors import BadRequest
from clients.reading import read
from clients.wire import Clock

from .schema import Database


class CalibrationRecords:
    """The calibrations on record; they go with their collection."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def of(self, collection_id: int, name: str) -> list[Calibration]:
        """Those of a collection, newest first, under its present name."""
        rows = self._database.read().execute(
            "SELECT detail FROM calibrations WHERE collection_id = ? ORDER BY created_at DESC", (collection_id,)
        )
        return [replace(read(Calibration, json.loads(row["detail"])), collection=name) for row in rows]

    def put(self, collection_id: int, calibration: Calibration) -> None:
        """Keep one that was made now in place of an earlier one for the same models; BadRequest when it is none."""
        self.adopt(collection_id, replace(calibration, created_at=self._clock()))

    def adopt(self, collection_id: int, calibration: Calibration) -> None:
        """As `put`, for one that was made when it says."""
        _check(calibration)
        detail = json.dumps(asdict(calibration), ensure_ascii=False)
        scorers = calibration.scorers
        with self._database.write() as tx:
            tx.execute(
                "INSERT OR REPLACE INTO calibrations VALUES (?, ?, ?, ?, ?, ?)",
                (collection_id, scorers.embedder, scorers.reranker, scorers.revision, detail, calibration.created_at),
            )

    def forget(self, collection_id: int) -> None:
        """Delete all of a collection."""
        with self._database.write() as tx:
            tx.execute("DELETE FROM calibrations WHERE collection_id = ?", (collection_id,))


def _check(calibration: Calibration) -> None:
    if not 0.0 <= calibration.t_low < calibration.t_high <= 1.0:
        raise BadRequest(
            f"the thresholds {calibration.t_low:g} and {calibration.t_high:g} are not in order",
            help="0 <= t_low < t_high <= 1",
        )
    if not (math.isfinite(calibration.slope) and math.isfinite(calibration.intercept) and calibration.slope >= 0):
        raise BadRequest(
            f"slope {calibration.slope:g} and intercept {calibration.intercept:g} make no rising curve",
            help="more evidence may not lower the probability; fit again with more questions",
        )
    if len(calibration.knots) != len(calibration.levels) or not (
        _is_rising(calibration.knots, strictly=True) and _is_rising(calibration.levels)
    ):
        raise BadRequest("the points of the curve do not rise", help="knots strictly, levels not falling, equally many")


def _is_rising(values: list[float], *, strictly: bool = False) -> bool:
    return all(a < b if strictly else a <= b for a, b in pairwise(values)) and all(map(math.isfinite, values))
