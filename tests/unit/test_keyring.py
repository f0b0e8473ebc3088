"""The folder of keys, and the commands that change it."""

from __future__ import annotations

import json
import stat
import threading
from pathlib import Path

import pytest

import service
from clients.allowed import Member
from clients.errors import AlreadyExists, BadRequest, ConfigError, NotFound, RagqError
from clients.keys import Credential, read_credential, read_pair
from services.launching.keyring import Keyring


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "keys")


def alice() -> Member:
    return Member("alice", "", ["client"])


def test_a_new_key_is_on_the_list_and_fits_the_proxies(keyring: Keyring) -> None:
    made = read_credential(keyring.new(alice()))
    assert (made.public, made.front) == (keyring.member("alice").public, read_pair(keyring.folder / "front.key").public)
    assert made.back == ""


def test_front_and_back_have_different_keys_and_only_a_worker_gets_the_backs(keyring: Keyring) -> None:
    made = read_credential(keyring.new(Member("gpu", "", ["worker"])))
    assert made.back == read_pair(keyring.folder / "back.key").public != made.front


def test_further_keys_leave_the_proxies_keys_alone(keyring: Keyring) -> None:
    first, second = (read_credential(keyring.new(Member(name, "", ["client"]))) for name in ("one", "two"))
    assert first.front == second.front
    assert first.public != second.public


@pytest.mark.parametrize("file", ["front.key", "back.key"])
def test_a_lost_key_of_the_proxies_is_told_and_not_replaced_because_everyones_was_made_for_it(
    keyring: Keyring, file: str
) -> None:
    keyring.new(alice())
    (keyring.folder / file).unlink()
    for make in (keyring.provide, lambda: keyring.new(Member("bob", "", ["client"]))):
        with pytest.raises(ConfigError, match=f"{file} is lost, and the keys of alice were made for it"):
            make()
    assert not (keyring.folder / file).exists()


def test_every_file_is_its_owners_alone(keyring: Keyring) -> None:
    keyring.provide()
    assert stat.S_IMODE(keyring.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in keyring.folder.iterdir()} == {0o600}


def test_a_name_has_one_key(keyring: Keyring) -> None:
    keyring.new(alice())
    with pytest.raises(AlreadyExists, match="'alice' has a key already"):
        keyring.new(alice(), keyring.folder / "other.key")


def test_a_file_that_is_there_is_not_replaced(keyring: Keyring, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(AlreadyExists, match="is there already"):
        keyring.new(alice(), tmp_path / "mine.txt")
    assert keyring.members() == []
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["", "front", "back", "../alice", "a/b", ".hidden", "a b", "a" * 65, "a\n"])
def test_a_name_that_could_be_a_path_is_refused(keyring: Keyring, name: str) -> None:
    with pytest.raises(BadRequest, match="cannot be a key's name"):
        keyring.new(Member(name, "", ["client"]))
    assert not keyring.folder.exists()


def test_a_revoked_key_is_marked_and_its_credential_removed(keyring: Keyring) -> None:
    path = keyring.new(alice())
    assert keyring.revoke("alice").revoked
    assert keyring.member("alice").revoked
    assert not path.exists()


def test_a_second_revocation_changes_nothing(keyring: Keyring) -> None:
    keyring.new(alice())
    assert keyring.revoke("alice") == keyring.revoke("alice")


def test_a_revoked_name_may_get_a_new_key(keyring: Keyring) -> None:
    old = read_credential(keyring.new(alice()))
    keyring.revoke("alice")
    new = read_credential(keyring.new(alice()))
    assert old.public not in {member.public for member in keyring.members()}
    assert keyring.member("alice").public == new.public


def test_a_name_that_nobody_has_is_not_found(keyring: Keyring) -> None:
    keyring.new(alice())
    with pytest.raises(NotFound) as caught:
        keyring.revoke("alcie")
    assert "alice" in caught.value.help


def test_a_machine_gets_what_it_needs_once(keyring: Keyring) -> None:
    assert [path.name for path in keyring.provide()] == [
        "front.key",
        "back.key",
        "client.key",
        "worker.key",
        "admin.key",
    ]
    assert keyring.provide() == []


def test_a_revoked_local_key_is_not_made_again(keyring: Keyring) -> None:
    keyring.provide()
    keyring.revoke("worker")
    assert keyring.provide() == []


def test_people_who_make_keys_at_once_all_get_one(keyring: Keyring) -> None:
    keyring.provide()
    threads = [threading.Thread(target=keyring.new, args=(Member(f"p{i}", "", ["client"]),)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {f"p{i}" for i in range(8)} <= {member.name for member in keyring.members()}


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a file")
    with pytest.raises(RagqError, match="cannot write the keys' folder"):
        Keyring(tmp_path / "keys").new(alice())


# -- the commands ----------------------------------------------------------------------------------


@pytest.fixture
def ragq(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        code = service.main(["keys", *words, "--data-dir", str(tmp_path)])
        out = capsys.readouterr()
        return code, out.out, out.err

    return run


def credential(path: Path) -> Credential:
    return read_credential(path)


def test_keys_new_says_where_the_key_is_and_never_what_it_is(ragq, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, out, err = ragq("new", "alice", "--role", "client", "--out", str(tmp_path / "alice.key"))
    assert code == 0
    assert str(tmp_path / "alice.key") in out
    assert credential(tmp_path / "alice.key").secret not in out + err
    assert "security.enabled: true" in err


def test_a_worker_may_call_too_unless_told_otherwise(ragq, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    ragq("new", "gpu", "--role", "worker", "--service", "llm")
    ragq("new", "mute", "--role", "worker", "--serve-only")
    members = {member.name: member for member in Keyring(tmp_path / "keys").members()}
    assert (members["gpu"].roles, members["gpu"].serves, members["gpu"].calls) == (["worker", "client"], ["llm"], [])
    assert members["mute"].roles == ["worker"]


def test_a_clients_limits_are_what_it_calls(ragq, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    ragq("new", "alice", "--role", "client", "--service", "llm", "--method", "index.search")
    assert Keyring(tmp_path / "keys").member("alice").calls == ["llm.*", "index.search"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("alice", "--role", "king"), "'king'"),
        (("alice",), "--role"),
        (("alice", "--role", "client", "--service", "lmm"), "no service 'lmm'"),
        (("alice", "--role", "client", "--method", "search"), "'search' names no method"),
        (("alice", "--role", "client", "--method", "lmm.embed"), "no service 'lmm'"),
        (("alice", "--role", "client", "--serve-only"), "--serve-only"),
        (("../alice", "--role", "client"), "cannot be a key's name"),
    ],
)
def test_bad_input_is_usage_and_makes_nothing(ragq, tmp_path: Path, words: tuple[str, ...], says: str) -> None:  # type: ignore[no-untyped-def]
    code, _, err = ragq("new", *words)
    assert code == 2
    assert says in err
    assert not (tmp_path / "keys").exists()


def test_keys_new_tells_when_this_machine_uses_the_key_already(ragq) -> None:  # type: ignore[no-untyped-def]
    assert "the workers of this machine use it" in ragq("new", "worker", "--role", "worker")[1]
    assert "set security.worker to its path" in ragq("new", "gpu", "--role", "worker")[1]


def test_keys_list_and_show_tell_who_may_what_without_secrets(ragq, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    ragq("new", "alice", "--role", "client", "--method", "index.search")
    ragq("new", "gpu", "--role", "worker")
    ragq("revoke", "gpu")
    _, listed, _ = ragq("list")
    assert "calls index.search" in listed
    assert "gpu    worker,client   revoked " in listed
    secret = credential(tmp_path / "keys" / "alice.key").secret
    _, shown, _ = ragq("show", "alice")
    assert "serves   -" in shown
    assert listed.splitlines()[0].split() == ["NAME", "ROLES", "OPENS"]
    document = json.loads(ragq("list", "--json")[1])
    assert [entry["name"] for entry in document] == ["alice", "gpu"]
    assert json.loads(ragq("show", "alice", "--json")[1]) == document[0]
    assert document[0]["public"] in shown
    assert secret not in listed + shown + json.dumps(document)


def test_a_list_that_is_broken_is_told_and_left_as_it_is(ragq, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    ragq("new", "alice", "--role", "client")
    path = tmp_path / "keys" / "allowed.yml"
    path.write_text("alice: [")
    code, _, err = ragq("new", "bob", "--role", "client")
    assert code == 2
    assert "is not YAML" in err
    assert path.read_text() == "alice: ["


def test_an_unreadable_list_is_refused(keyring: Keyring) -> None:
    (keyring.folder / "allowed.yml").mkdir(parents=True)
    with pytest.raises(ConfigError, match="cannot read"):
        keyring.members()
