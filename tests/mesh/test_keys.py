"""A mesh with keys, as processes: who gets in, who does not and hears why, and what a revocation does."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgpack
import pytest
import zmq

from clients import Client, sockets
from clients.allowed import Member
from clients.errors import Forbidden, RagqError, Unauthenticated
from clients.greetings import Ready
from clients.keys import Credential, Role, new_pair, read_credential, write
from clients.packing import pack
from clients.wire import Envelope, Kind, decode
from services.launching.keyring import Keyring
from tests.conftest import TOY, LiveMesh, start_mesh
from tests.mesh.processes import Processes, processes, until
from tests.mesh.trial import COUNT, ECHO, WAIT, Blob, Count, Wait

pytestmark = [pytest.mark.mesh, pytest.mark.timeout(120)]
SOON_S = 5.0


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Processes]:
    """A trial service with keys, its proxy and one worker."""
    with processes(tmp_path) as live:
        live.path.write_text(json.dumps({**json.loads(live.path.read_text()), "security": {"enabled": True}}))
        keyring(live).provide()
        live.start("proxy")
        live.start("worker")
        with client(live, credential(live, "client")) as known:
            until(lambda: bool(is_served(known)))
        yield live


def is_served(known: Client) -> bool:
    try:
        return bool(known.status(1.0).workers)
    except RagqError:
        return False


def keyring(live: Processes) -> Keyring:
    return Keyring(live.path.parent / "home" / "keys")


def credential(live: Processes, name: str) -> Credential:
    return read_credential(keyring(live).path_of(name))


def made(
    live: Processes, name: str, role: Role, calls: tuple[str, ...] = (), serves: tuple[str, ...] = ()
) -> Credential:
    return read_credential(keyring(live).new(Member(name, "", [role], list(calls), list(serves))))


def client(live: Processes, shown: Credential | None) -> Client:
    return Client(live.address, timeout_s=20.0, credential=shown)


def refused(call: Callable[[], object], kind: type[RagqError]) -> RagqError:
    """The error of a call, which has to come soon."""
    began = time.monotonic()
    with pytest.raises(kind) as caught:
        call()
    assert time.monotonic() - began < SOON_S
    return caught.value


def test_whoever_has_a_key_is_served(mesh: Processes) -> None:
    with client(mesh, credential(mesh, "client")) as known, client(mesh, credential(mesh, "worker")) as also:
        assert known.call(ECHO, Blob("hello")).text == also.call(ECHO, Blob("hello")).text == "hello"


def test_a_stream_and_a_large_message_pass_encrypted(mesh: Processes) -> None:
    with client(mesh, credential(mesh, "client")) as known:
        assert len(list(known.stream(COUNT, Count(100)))) == 100
        assert known.call(ECHO, Blob(data=bytes(5 << 20))).data == bytes(5 << 20)


def test_a_client_without_a_key_hears_so(mesh: Processes) -> None:
    with client(mesh, None) as stranger:
        refused(lambda: stranger.call(ECHO, Blob()), Unauthenticated)
        refused(lambda: stranger.status(10.0), Unauthenticated)


def test_a_key_that_is_not_on_the_list_is_refused(mesh: Processes) -> None:
    pair, fits = new_pair(), credential(mesh, "client")
    with client(mesh, Credential("forged", ["admin"], pair.public, pair.secret, fits.front)) as stranger:
        refused(lambda: stranger.call(ECHO, Blob()), Unauthenticated)


def test_a_credential_of_another_mesh_is_refused(mesh: Processes, tmp_path: Path) -> None:
    other = Keyring(tmp_path / "other")
    other.provide()
    with client(mesh, read_credential(other.path_of("client"))) as stranger:
        error = refused(lambda: stranger.call(ECHO, Blob()), Unauthenticated)
    assert "another mesh" in error.message


def test_a_program_with_a_key_hears_that_a_mesh_has_none(tmp_path: Path) -> None:
    with processes(tmp_path) as live:
        keyring(live).provide()
        live.start_mesh(1)
        with client(live, credential(live, "client")) as known:
            refused(lambda: known.call(ECHO, Blob()), Unauthenticated)


def test_a_method_beyond_a_keys_limits_is_forbidden_and_the_others_are_not(mesh: Processes) -> None:
    with client(mesh, made(mesh, "alice", "client", calls=("trial.echo",))) as alice:
        assert alice.call(ECHO, Blob("hello")).text == "hello"
        error = refused(lambda: alice.call(WAIT, Wait()), Forbidden)
        assert "'alice'" in error.message
        assert alice.call(ECHO, Blob("again")).text == "again"


def test_a_key_opens_a_running_proxy_as_soon_as_it_was_made(mesh: Processes) -> None:
    with client(mesh, made(mesh, "late", "client")) as late:
        assert late.call(ECHO, Blob("hello")).text == "hello"


def test_a_revoked_key_is_refused_on_a_connection_that_is_open(mesh: Processes) -> None:
    shown = made(mesh, "alice", "client")
    with client(mesh, shown) as alice:
        assert alice.call(ECHO, Blob("hello")).text == "hello"
        keyring(mesh).revoke("alice")
        until(lambda: not is_served(alice), within_s=SOON_S)
        error = refused(lambda: alice.call(ECHO, Blob()), Forbidden)
        assert "'alice'" in error.message
        with client(mesh, shown) as again:
            refused(lambda: again.call(ECHO, Blob()), Unauthenticated)
    with client(mesh, credential(mesh, "client")) as known:
        assert known.call(ECHO, Blob("still")).text == "still"


def test_a_hang_up_signal_lets_a_proxy_read_the_list_at_once(mesh: Processes) -> None:
    with client(mesh, credential(mesh, "client")) as known:
        assert known.call(ECHO, Blob("hello")).text == "hello"
        keyring(mesh).revoke("client")
        mesh.started[0].send_signal(signal.SIGHUP)
        until(lambda: not is_served(known), within_s=SOON_S)
    assert mesh.started[0].poll() is None


def test_a_list_that_breaks_keeps_the_old_one_and_says_so_in_the_log(mesh: Processes) -> None:
    (keyring(mesh).folder / "allowed.yml").write_text("alice: [")
    with client(mesh, credential(mesh, "client")) as known:
        until(lambda: known.call(ECHO, Blob("hello")).text == "hello" and "stays as it was" in mesh.log())


# -- workers -----------------------------------------------------------------------------------------


def with_worker_key(live: Processes, shown: Credential) -> None:
    path = live.path.parent / f"{shown.name}.key"
    config = json.loads(live.path.read_text())
    config["security"]["worker"] = str(path)
    write(path, shown)
    live.path.write_text(json.dumps(config))


def says(live: Processes, text: str) -> None:
    until(lambda: text in live.log())


def test_a_worker_whose_key_is_for_another_service_is_refused_and_says_so(mesh: Processes) -> None:
    with_worker_key(mesh, made(mesh, "gpu", "worker", serves=("llm",)))
    mesh.start("worker")
    says(mesh, "the key of 'gpu' may not serve 'trial'")
    with client(mesh, credential(mesh, "client")) as known:
        assert len(known.status().workers) == 1


def test_a_worker_whose_key_is_unknown_is_refused_and_says_so(mesh: Processes) -> None:
    pair, fits = new_pair(), credential(mesh, "worker")
    with_worker_key(mesh, Credential("forged", ["worker"], pair.public, pair.secret, fits.front, fits.back))
    mesh.start("worker")
    says(mesh, "does not know this key")
    with client(mesh, credential(mesh, "client")) as known:
        assert len(known.status().workers) == 1


def test_a_worker_whose_key_is_revoked_gets_no_more_calls_and_says_so(mesh: Processes) -> None:
    with client(mesh, credential(mesh, "client")) as known:
        assert known.call(ECHO, Blob("hello")).text == "hello"
        keyring(mesh).revoke("worker")
        until(lambda: not known.status().workers)
        says(mesh, "'worker' may not serve 'trial'")
        time.sleep(1.5)  # a worker offers itself twenty times a second, unless it was refused
        assert not known.status().workers
    assert mesh.log().count("may not serve") == 1


def raw(shown: Credential, server_key: str) -> zmq.Socket[bytes]:
    socket = sockets.opened(zmq.DEALER, 0)
    socket.set(zmq.CURVE_PUBLICKEY, shown.public.encode())
    socket.set(zmq.CURVE_SECRETKEY, shown.secret.encode())
    socket.set(zmq.CURVE_SERVERKEY, server_key.encode())
    return socket


def ready(live: Processes) -> bytes:
    said = Ready("thief", 1, "here", live.service, ["trial.echo"], 8, 0.0)
    return Envelope(Kind.READY, 0, body=pack(said).body).encode()


def test_a_client_that_says_it_is_a_worker_is_not_believed(mesh: Processes) -> None:
    shown = credential(mesh, "client")
    socket = raw(shown, shown.front)
    socket.connect(mesh.address)
    try:
        socket.send(ready(mesh))
        assert socket.poll(20_000)
        assert decode(socket.recv_multipart()[0]).kind is Kind.ERROR
    finally:
        socket.close()
    with client(mesh, shown) as known:
        assert [worker.id for worker in known.status().workers] != ["thief"]
        assert known.call(ECHO, Blob("hello")).text == "hello"


def test_a_client_does_not_get_to_the_side_of_the_workers(mesh: Processes) -> None:
    shown = credential(mesh, "client")
    socket = raw(shown, credential(mesh, "worker").back)
    monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_SUCCEEDED)
    socket.connect(mesh.back)
    try:
        assert monitor.poll(20_000)
        assert int.from_bytes(monitor.recv_multipart()[0][:2], "little") == zmq.EVENT_HANDSHAKE_FAILED_AUTH
    finally:
        socket.disable_monitor()
        monitor.close(0)
        socket.close()


def test_neither_side_logs_a_secret(mesh: Processes) -> None:
    with client(mesh, None) as stranger:
        refused(lambda: stranger.call(ECHO, Blob()), Unauthenticated)
    for path in keyring(mesh).folder.glob("*.key"):
        assert json.loads(path.read_text())["secret"] not in mesh.log()


# -- starting ----------------------------------------------------------------------------------------


def test_a_proxy_without_its_keys_does_not_start(tmp_path: Path) -> None:
    with processes(tmp_path) as live:
        live.path.write_text(json.dumps({**json.loads(live.path.read_text()), "security": {"enabled": True}}))
        assert live.start("proxy").wait(30) != 0
        assert "ragq keys new" in live.log()
        assert live.start("worker").wait(30) != 0
        assert "ragq keys new" in live.log()


def test_a_proxy_does_not_start_with_a_key_that_others_may_read(tmp_path: Path) -> None:
    with processes(tmp_path) as live:
        live.path.write_text(json.dumps({**json.loads(live.path.read_text()), "security": {"enabled": True}}))
        keyring(live).provide()
        (keyring(live).folder / "front.key").chmod(0o644)
        assert live.start("proxy").wait(30) != 0
        assert "chmod 600" in live.log()


def older_call(live: LiveMesh, shown: Credential) -> dict[str, object]:
    socket = sockets.context().socket(zmq.REQ)
    socket.set(zmq.LINGER, 0)
    socket.set(zmq.CURVE_PUBLICKEY, shown.public.encode())
    socket.set(zmq.CURVE_SECRETKEY, shown.secret.encode())
    socket.set(zmq.CURVE_SERVERKEY, shown.front.encode())
    try:
        socket.connect(live.client().config.llm.front_end.address)
        socket.send(msgpack.packb({"cmd": "GET_EMBEDDINGS", "texts": ["hello"]}))
        assert socket.poll(20_000)
        answer: dict[str, object] = msgpack.unpackb(socket.recv())
    finally:
        socket.close()
    return answer


def test_one_box_needs_nothing_but_the_word(tmp_path: Path) -> None:
    live = start_mesh(tmp_path, {**TOY, "security": {"enabled": True}})
    try:
        until((live.home / "keys" / "client.key").exists, within_s=60.0)
        live.wait_ready()
        assert "client.key, which only you may read" in live.log.read_text(encoding="utf-8")
        assert live.client().llm.embed(["one"]).shape[0] == 1
        job = live.client().index.add("box", texts=["The cafe is closed on Saturdays."])
        job.wait(30)  # the worker of the Index service calls the LLM service with its own key
        assert older_call(live, read_credential(live.home / "keys" / "client.key"))["code"] == 200
        status = live.run("status")
        assert status.returncode == 0, status.stdout + status.stderr
        assert live.run("keys", "revoke", "client").returncode == 0
        assert "ragq keys new" in live.run("status").stderr
    finally:
        live.stop()
