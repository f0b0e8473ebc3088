"""What a proxy lets its clients and workers do, and what it says when it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clients.allowed import Member
from clients.errors import Forbidden
from clients.wire import method_key
from proxies.access import Access
from proxies.guard import Guard

ALICE = Member("alice", "A" * 40, ["client"], calls=["llm.embed"])
GPU = Member("gpu", "G" * 40, ["worker"], serves=["llm"])


def guard(service: str = "llm") -> Guard:
    return Guard(service, Access([ALICE, GPU]))


def revoked(member: Member) -> Access:
    return Access([replace(member, revoked="2026-11-03T10:00:00+00:00")])


def test_a_call_within_the_keys_limits_passes() -> None:
    guard().check_call(ALICE.public, method_key("llm.embed"))


def test_a_call_beyond_them_is_forbidden_by_name() -> None:
    with pytest.raises(Forbidden, match="'alice' does not open this method of 'llm'"):
        guard().check_call(ALICE.public, method_key("llm.generate"))


def test_a_key_that_was_revoked_while_connected_is_told_so() -> None:
    kept = guard()
    kept.change(revoked(ALICE), ())
    for check in (
        lambda: kept.check_client(ALICE.public),
        lambda: kept.check_call(ALICE.public, method_key("llm.embed")),
    ):
        with pytest.raises(Forbidden, match="'alice' does not open this mesh any more"):
            check()


def test_a_worker_of_another_service_is_refused() -> None:
    with pytest.raises(Forbidden, match="'gpu' may not serve 'index'"):
        guard("index").admit(b"1", GPU.public)


def test_a_client_is_no_worker() -> None:
    with pytest.raises(Forbidden, match="'alice' may not serve 'llm'"):
        guard().admit(b"1", ALICE.public)


def test_a_revoked_worker_is_let_go_and_not_admitted_again() -> None:
    kept = guard()
    kept.admit(b"1", GPU.public)
    assert list(kept.change(revoked(GPU), {b"1"})) == [b"1"]
    with pytest.raises(Forbidden):
        kept.admit(b"1", GPU.public)
    assert list(kept.change(revoked(GPU), {b"1"})) == []


def test_workers_that_left_are_forgotten() -> None:
    kept = guard()
    kept.admit(b"1", GPU.public)
    assert list(kept.change(revoked(GPU), ())) == []


def test_a_worker_whose_key_holds_stays() -> None:
    kept = guard()
    kept.admit(b"1", GPU.public)
    assert list(kept.change(Access([GPU]), {b"1"})) == []


def test_a_mesh_without_keys_lets_everyone() -> None:
    kept = Guard("llm", Access.open())
    kept.check_client("")
    kept.check_call("", method_key("llm.embed"))
    kept.admit(b"1", "")
