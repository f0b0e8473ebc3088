"""Handlers for what was fitted to a collection."""

from __future__ import annotations

import time

from clients import calibration as contract
from clients.documents import CollectionName
from clients.wire import Nothing
from services.index.calibrations import CalibrationRecords
from services.service import Call, serves

from .base import Handlers


class CalibrationHandlers(Handlers):
    """Give, keep, forget."""

    @property
    def _calibrations(self) -> CalibrationRecords:
        return CalibrationRecords(self._parts.database, time.time)

    @serves(contract.CALIBRATION)
    def calibration(self, request: CollectionName, _call: Call) -> contract.Calibrations:
        """What was fitted to a collection."""
        shelf = self._catalog.shelf(request.name)
        return contract.Calibrations(self._calibrations.of(shelf.id, shelf.name))

    @serves(contract.SET_CALIBRATION)
    def set_calibration(self, request: contract.Calibration, _call: Call) -> Nothing:
        """Keep a calibration."""
        self._calibrations.put(self._catalog.shelf(request.collection).id, request)
        return Nothing()

    @serves(contract.FORGET_CALIBRATION)
    def forget_calibration(self, request: CollectionName, _call: Call) -> Nothing:
        """Go back to the defaults."""
        self._calibrations.forget(self._catalog.shelf(request.name).id)
        return Nothing()
