"""The list of keys in a file: when it is read again, and what holds while it is broken."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest

from clients.allowed import Member, write_allowed
from clients.errors import ConfigError
from clients.keys import new_pair
from proxies.access_list import AccessList

ALICE = Member("alice", new_pair().public, ["client"])
REVOKED = replace(ALICE, revoked="2026-11-03T10:00:00+00:00")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_allowed(tmp_path / "allowed.yml", [ALICE])
    return tmp_path / "allowed.yml"


def is_in(access_list: AccessList) -> bool:
    return access_list.access.may_connect("clients", ALICE.public)


def test_a_revocation_holds_at_the_next_look(path: Path) -> None:
    access_list = AccessList(path)
    assert is_in(access_list)
    assert not access_list.refresh(10.0)
    write_allowed(path, [REVOKED])
    assert access_list.refresh(11.1)
    assert not is_in(access_list)


def test_the_file_is_looked_at_once_a_second_at_most(path: Path) -> None:
    access_list = AccessList(path)
    access_list.refresh(10.0)
    write_allowed(path, [REVOKED])
    assert not access_list.refresh(10.9)
    assert is_in(access_list)


def test_a_change_that_keeps_size_and_time_is_seen(path: Path) -> None:
    access_list = AccessList(path)
    access_list.refresh(10.0)
    before = path.stat()
    write_allowed(path, [replace(ALICE, name="elica")])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert access_list.refresh(12.0)
    assert access_list.access.name(ALICE.public) == "elica"


def test_a_signal_lets_it_look_at_once(path: Path) -> None:
    access_list = AccessList(path)
    access_list.refresh(10.0)
    write_allowed(path, [REVOKED])
    access_list.look_again()
    assert access_list.refresh(10.1)
    assert not is_in(access_list)


@pytest.mark.parametrize("text", ["alice: [", None])
def test_a_list_that_breaks_leaves_the_old_one_and_is_logged_once(
    path: Path, text: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    access_list = AccessList(path)
    path.write_text(text) if text else path.unlink()
    with caplog.at_level(logging.ERROR, "ragq.proxy"):
        assert not any(access_list.refresh(now) for now in (10.0, 12.0, 14.0))
    assert is_in(access_list)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_a_list_that_is_mended_is_read_again(path: Path) -> None:
    access_list = AccessList(path)
    path.write_text("alice: [")
    access_list.refresh(10.0)
    write_allowed(path, [REVOKED])
    assert access_list.refresh(12.0)
    assert not is_in(access_list)


def test_a_proxy_does_not_begin_without_a_list(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ragq keys new"):
        AccessList(tmp_path / "allowed.yml")
