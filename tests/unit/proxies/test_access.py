"""Who may do what: roles, methods, services, and keys that hold no more."""

from __future__ import annotations

import pytest

from clients.allowed import Member
from clients.wire import method_key
from proxies.access import Access


def access(*members: Member) -> Access:
    return Access(members)


ALICE = Member("alice", "A" * 40, ["client"])
LIMITED = Member("limited", "L" * 40, ["client"], calls=["llm.*", "index.search"])
WORKER = Member("worker", "W" * 40, ["worker", "client"], serves=["index"])
MUTE = Member("mute", "M" * 40, ["worker"])
ADMIN = Member("admin", "D" * 40, ["admin"])
GONE = Member("gone", "G" * 40, ["client", "worker", "admin"], revoked="2026-11-03T10:00:00Z")
ALL = access(ALICE, LIMITED, WORKER, MUTE, ADMIN, GONE)


CONNECTS = [
    (ALICE, {"clients"}),
    (WORKER, {"clients", "workers"}),
    (MUTE, {"workers"}),
    (ADMIN, {"clients", "admin"}),
    (GONE, set()),
]


@pytest.mark.parametrize(("member", "domains"), CONNECTS)
def test_a_key_connects_where_its_roles_belong(member: Member, domains: set[str]) -> None:
    assert {d for d in ("clients", "workers", "admin") if ALL.may_connect(d, member.public)} == domains


@pytest.mark.parametrize("stranger", ["", "X" * 40, "alice"])
def test_a_stranger_may_do_nothing(stranger: str) -> None:
    assert not any(ALL.may_connect(domain, stranger) for domain in ("clients", "workers", "admin"))
    assert not ALL.may_call(stranger, "llm", "llm.embed")
    assert not ALL.may_call(stranger, "llm", "_sys.health")
    assert not ALL.may_serve(stranger, "llm")
    assert not ALL.is_admin(stranger)
    assert ALL.name(stranger) == ""


def test_a_client_without_limits_calls_everything() -> None:
    assert ALL.may_call(ALICE.public, "llm", "llm.embed")
    assert ALL.may_call(ALICE.public, "index", method_key("index.delete"))
    assert ALL.may_call(ALICE.public, "index", method_key("_legacy"))


def test_a_limited_client_calls_what_its_key_names() -> None:
    assert ALL.may_call(LIMITED.public, "llm", method_key("llm.embed"))
    assert ALL.may_call(LIMITED.public, "index", "index.search")
    assert not ALL.may_call(LIMITED.public, "index", "index.delete")
    assert not ALL.may_call(LIMITED.public, "index", "_legacy")
    assert ALL.may_call(LIMITED.public, "index", "_sys.health")


def test_only_an_admin_stops_a_proxy() -> None:
    assert [m.name for m in (ALICE, LIMITED, WORKER, MUTE, ADMIN, GONE) if ALL.is_admin(m.public)] == ["admin"]
    assert ALL.may_call(ADMIN.public, "llm", "_sys.drain")
    assert not ALL.may_call(ALICE.public, "llm", "_sys.drain")


def test_a_worker_serves_what_its_key_names() -> None:
    assert ALL.may_serve(WORKER.public, "index")
    assert not ALL.may_serve(WORKER.public, "llm")
    assert ALL.may_serve(MUTE.public, "llm")
    assert not ALL.may_serve(ALICE.public, "llm")


def test_a_worker_that_is_no_client_calls_nothing() -> None:
    assert not ALL.may_call(MUTE.public, "llm", "llm.embed")


def test_a_revoked_key_may_do_nothing_and_keeps_its_name() -> None:
    assert not ALL.may_call(GONE.public, "llm", "llm.embed")
    assert not ALL.may_serve(GONE.public, "llm")
    assert ALL.name(GONE.public) == "gone"


def test_without_keys_everyone_may_do_everything() -> None:
    everyone = Access.open()
    assert everyone.may_connect("workers", "")
    assert everyone.may_call("", "llm", "llm.embed")
    assert everyone.may_serve("", "llm")
    assert everyone.is_admin("")
