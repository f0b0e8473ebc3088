"""What an author of a service is given."""

from __future__ import annotations

import pytest

from clients.config import Config
from clients.errors import Cancelled, DeadlineExceeded
from services.service import Call, Service
from tests.unit.services.trial_desk import COUNT, FAIL, SAY, Desk


def test_a_service_serves_the_methods_that_it_marked_and_those_that_it_inherits() -> None:
    class Busier(Desk):
        def helper(self) -> None:
            raise AssertionError("not a handler")

    assert set(Busier(Config()).handlers()) == {SAY, COUNT, FAIL}
    assert set(Service(Config()).handlers()) == set()


def test_the_base_starts_stops_and_has_nothing_to_say() -> None:
    service = Service(Config())
    service.start()
    service.stop()
    assert service.note() == ""


def test_a_call_knows_its_time() -> None:
    now = [0.0]
    call = Call(10.0, lambda: now[0])
    call.check()
    assert call.remaining_s == 10.0
    now[0] = 10.0
    assert call.remaining_s == 0.0
    with pytest.raises(DeadlineExceeded):
        call.check()
    call.cancelled.set()
    with pytest.raises(Cancelled):
        call.check()
