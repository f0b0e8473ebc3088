"""Keys in files: who may read them, what is refused, and that a secret is never told."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from clients.config import Config, Security
from clients.errors import ConfigError, NotFound, RagqError
from clients.keys import (
    Credential,
    KeyPair,
    credential_of,
    is_key,
    new_pair,
    read_credential,
    read_pair,
    write,
    write_private,
)


def credential(name: str = "alice", roles: tuple[str, ...] = ("client",)) -> Credential:
    pair = new_pair()
    return Credential(name, list(roles), pair.public, pair.secret, new_pair().public)  # type: ignore[arg-type]


def config(folder: Path, **security: str) -> Config:
    return Config(security=Security(enabled=True, folder=str(folder), **security))


def test_a_credential_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    made = credential()
    write(tmp_path / "alice.key", made)
    assert read_credential(tmp_path / "alice.key") == made


def test_a_pair_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    made = new_pair()
    write(tmp_path / "front.key", made)
    assert read_pair(tmp_path / "front.key") == made


def test_a_key_file_is_its_owners_alone_and_so_is_its_new_folder(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "alice.key"
    write(path, credential())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o606, 0o660])
def test_a_key_that_others_may_read_is_refused_with_the_cure(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "alice.key"
    write(path, credential())
    path.chmod(mode)
    with pytest.raises(ConfigError) as caught:
        read_credential(path)
    assert caught.value.help == f"chmod 600 {path}"


def test_neither_repr_nor_text_shows_a_secret() -> None:
    pair = new_pair()
    made = replace(credential(), secret=pair.secret)
    for shown in (repr(pair), str(pair), repr(made), f"{made}", str([made])):
        assert pair.secret not in shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        "{}",
        "[" * 60_000,
        '{"public": "x", "secret": "SECRET"}',
        '{"public": 1, "secret": "SECRET"}',
    ],
)
def test_a_file_that_keeps_no_key_is_refused_without_quoting_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "front.key"
    write_private(path, text)
    with pytest.raises(ConfigError) as caught:
        read_pair(path)
    assert "SECRET" not in str(caught.value)
    assert str(path) in caught.value.message


def test_two_keys_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "front.key"
    write(path, KeyPair(new_pair().public, new_pair().secret))
    with pytest.raises(ConfigError, match="do not belong together"):
        read_pair(path)


def test_a_proxys_key_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "alice.key"
    write(path, replace(credential(), front="short"))
    with pytest.raises(ConfigError, match="is not a key file"):
        read_credential(path)


def test_a_role_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "alice.key"
    write_private(path, json.dumps({"name": "a", "roles": ["king"], "public": "x", "secret": "y"}))
    with pytest.raises(ConfigError, match="is not a key file"):
        read_credential(path)


def test_an_absent_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        read_credential(tmp_path / "alice.key")


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a file")
    with pytest.raises(RagqError, match="cannot write"):
        write(tmp_path / "keys" / "alice.key", credential())


def test_without_security_nobody_needs_a_credential() -> None:
    assert credential_of(Config(), "client") is None


def test_a_missing_credential_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        credential_of(config(tmp_path), "worker")
    assert "ragq keys new" in caught.value.help
    assert str(tmp_path / "worker.key") in caught.value.help


def test_the_configuration_may_name_another_file(tmp_path: Path) -> None:
    made = credential("bob", ("worker", "client"))
    write(tmp_path / "elsewhere" / "bob.key", made)
    named = config(tmp_path, worker=str(tmp_path / "elsewhere" / "bob.key"))
    assert credential_of(named, "worker") == made


def test_a_clients_credential_does_not_make_a_worker(tmp_path: Path) -> None:
    write(tmp_path / "worker.key", credential())
    with pytest.raises(ConfigError, match="is not for workers"):
        credential_of(config(tmp_path), "worker")


def test_what_is_a_key() -> None:
    assert is_key(new_pair().public)
    assert not any(map(is_key, ("", "short", "é" * 40, " " * 40, "~" * 40, new_pair().public + "x")))
