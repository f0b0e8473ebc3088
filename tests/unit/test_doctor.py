"""Does the doctor see what would keep a mesh from running, and name the cure?"""

from __future__ import annotations

import json
import os
import socket
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import service
from clients.config import Config, Face, Index, Model, Security
from clients.endpoint import Endpoint
from clients.keys import new_pair, write, write_private
from services.index.lock import DirectoryLock
from services.launching import doctor
from services.launching.doctor import Finding
from services.launching.gpu_check import Gpu
from services.launching.home import Home, RoleRecord, write_roles
from services.launching.keyring import Keyring

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Ports that the system says are free."""
    with socket.create_server(("127.0.0.1", 0)) as a, socket.create_server(("127.0.0.1", 0)) as b:
        first, second = a.getsockname()[1], b.getsockname()[1]
    base = Config(data_dir=str(tmp_path), http=Face(1, enabled=False), ui=Face(2, enabled=False))
    ends = {"front_end": Endpoint(first), "back_end": Endpoint(second)}
    return replace(base, llm=replace(base.llm, **ends), index=replace(base.index, enabled=False))


def levels(findings: list[Finding], what: str) -> list[str]:
    return [finding.level for finding in findings if finding.what == what]


GPU = Gpu("cuda:0", "NVIDIA H200", 140_000_000_000, 150_000_000_000)


def with_torch(config: Config, device: str = "auto") -> Config:
    return replace(config, llm=replace(config.llm, embed=Model("m", "torch", device=device)))


def test_torch_is_told_of_only_where_it_is_or_should_be(config: Config) -> None:
    assert not list(doctor.torch(config, ""))
    (missing,) = doctor.torch(with_torch(config), "")
    assert (missing.level, missing.says) == ("blocks", "not installed, and llm.embed wants it")
    (bare,) = doctor.torch(config, "2.13.0", list)
    assert (bare.level, bare.says) == ("ok", "2.13.0, no GPU: its models run on the processor")


def test_a_gpu_is_shown_with_its_memory_and_one_that_is_not_there_blocks(config: Config) -> None:
    for device in ("auto", "cpu", "cuda", "cuda:0"):
        (found,) = doctor.torch(with_torch(config, device), "2.13.0", lambda: [GPU])
        assert (found.level, found.says) == ("ok", "2.13.0, cuda:0 NVIDIA H200, 140.0 of 150.0 GB free")
    (lost,) = doctor.torch(with_torch(config, "cuda:1"), "2.13.0", lambda: [GPU])
    assert lost.level == "blocks"
    assert lost.says.endswith("llm.embed wants cuda:1")


def test_an_old_python_blocks() -> None:
    assert doctor.python((3, 10)).level == "blocks"
    assert doctor.python((3, 11)).level == "ok"


def test_a_missing_package_blocks_and_names_the_command() -> None:
    found = list(doctor.packages(("click", "no-such-package-1")))
    assert [finding.level for finding in found] == ["ok", "blocks"]
    assert found[1].cure.endswith("-m pip install no-such-package-1")


def test_the_packages_are_those_of_the_default_install() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(doctor.PACKAGES) == {line.partition(">")[0] for line in project["dependencies"]}
    assert not any("torch" in name for name in doctor.PACKAGES)


def test_the_processor_tells_its_number_formats() -> None:
    assert "bf16 yes, int8 yes" in doctor.processor(frozenset({"avx2", "amx_bf16", "avx512_vnni"})).says
    assert "bf16 no (models run in fp32), int8 no" in doctor.processor(frozenset({"avx2"})).says
    assert doctor.processor(frozenset({"sse4_2"})).level == "note"


def test_a_data_directory_that_is_a_file_blocks(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = list(doctor.disk(Home(tmp_path / "file")))
    assert [finding.level for finding in found] == ["blocks"]
    assert "RAGQ_HOME" in found[0].cure


def test_a_mesh_that_runs_is_named_with_its_failed_roles(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    assert [finding.says for finding in doctor.mesh(home)] == ["none runs on this data directory"]
    write_roles(
        home, [RoleRecord("llm", "failed", why="exit code 4"), RoleRecord("ui", "running", 9, 2, "signal SIGKILL")]
    )
    with home.locked():
        found = list(doctor.mesh(home))
    assert [finding.level for finding in found] == ["ok", "blocks", "note"]
    assert found[1].says == "llm is down: exit code 4"


def test_a_busy_port_blocks_unless_it_is_ours(config: Config) -> None:
    assert levels(list(doctor.sockets(config, is_running=False)), "ports") == ["ok"]
    with socket.create_server(("127.0.0.1", config.llm.back_end.port)):
        found = list(doctor.sockets(config, is_running=False))
        assert [finding.level for finding in found] == ["blocks"]
        assert "llm back end" in found[0].says
        assert levels(list(doctor.sockets(config, is_running=True)), "ports") == ["ok"]


def test_a_model_that_can_be_pulled_is_no_obstacle(config: Config) -> None:
    found = list(doctor.models(config))
    assert [(finding.what, finding.level) for finding in found] == [("llm.embed", "note"), ("llm.generate", "note")]
    assert found[0].cure == "ragq models pull multilingual-e5-small"


def test_a_model_that_nobody_knows_blocks(config: Config) -> None:
    config = replace(config, llm=replace(config.llm, embed=replace(config.llm.embed, name="/no/such/place")))
    assert levels(list(doctor.models(config)), "llm.embed") == ["blocks"]


def test_damaged_weights_block_and_say_how_to_get_them_again(config: Config) -> None:
    place = config.home / "models" / "all-minilm-l6-v2"
    place.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json"):
        (place / name).write_text('{"model_type": "bert", "hidden_size": 384, "max_position_embeddings": 512}')
    (place / "model.safetensors").write_bytes(b"not what was pinned")
    config = replace(config, llm=replace(config.llm, embed=replace(config.llm.embed, name="all-minilm-l6-v2")))
    found = next(finding for finding in doctor.models(config) if finding.what == "llm.embed")
    assert found.level == "blocks"
    assert "damaged" in found.says
    assert found.cure.endswith("ragq models pull all-minilm-l6-v2")


def test_the_command_prints_one_document_and_its_code_says_whether_something_blocks(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"data_dir": str(tmp_path), "llm": {"front_end": {"port": config.llm.front_end.port}}}))
    text = json.loads(path.read_text())
    text["llm"]["back_end"] = {"port": config.llm.back_end.port}
    text |= {"index": {"enabled": False}, "http": {"enabled": False}, "ui": {"enabled": False}}
    path.write_text(json.dumps(text))
    assert service.main(["doctor", "--json", "--config", str(path)]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    with socket.create_server(("127.0.0.1", config.llm.front_end.port)):
        assert service.main(["doctor", "--config", str(path)]) == 1
    shown = capsys.readouterr().out
    assert "BLOCKS  ports" in shown
    assert "-> stop that process" in shown


@pytest.fixture
def keyed(config: Config) -> Config:
    """A mesh with all the keys that 'ragq up' makes."""
    Keyring(config.keys_folder).provide()
    return replace(config, security=Security(enabled=True))


def test_keys_that_are_all_there_are_fine(keyed: Config) -> None:
    assert [finding.level for finding in doctor.keys(keyed)] == ["ok"]


def test_a_mesh_without_security_has_no_word_about_keys(config: Config) -> None:
    assert list(doctor.keys(config)) == []


def test_a_mesh_that_has_no_keys_yet_is_told_who_makes_them(config: Config) -> None:
    found = list(doctor.keys(replace(config, security=Security(enabled=True))))
    assert [finding.level for finding in found] == ["note"]
    assert "'ragq up'" in found[0].cure


def _remove_the_clients(folder: Path) -> None:
    (folder / "client.key").unlink()


def _remove_the_proxies(folder: Path) -> None:
    (folder / "back.key").unlink()


def _remove_the_front(folder: Path) -> None:
    (folder / "front.key").unlink()


def _open_to_all(folder: Path) -> None:
    (folder / "worker.key").chmod(0o644)


def _revoke_the_clients(folder: Path) -> None:
    kept = (folder / "client.key").read_bytes()
    Keyring(folder).revoke("client")
    write_private(folder / "client.key", kept.decode())


def _replace_the_proxies(folder: Path) -> None:
    write(folder / "front.key", new_pair())


@pytest.mark.parametrize(
    ("harm", "says", "num_blocks"),
    [
        (_remove_the_clients, "there is no key file", 1),
        (_remove_the_proxies, "there is no key file", 1),
        (_remove_the_front, "there is no key file", 1),
        (_open_to_all, "others on this machine may read", 1),
        (_revoke_the_clients, "the key of 'client' is revoked", 1),
        (_replace_the_proxies, "was made for other proxies", 2),
    ],
)
def test_keys_that_keep_a_mesh_from_working_block(
    keyed: Config, harm: Callable[[Path], None], says: str, num_blocks: int
) -> None:
    harm(keyed.keys_folder)
    found = list(doctor.keys(keyed))
    assert [finding.level for finding in found] == ["blocks"] * num_blocks
    assert all(says in finding.says and finding.cure for finding in found)


def test_a_machine_without_proxies_needs_only_the_keys_that_it_names(config: Config, tmp_path: Path) -> None:
    far = replace(config.llm, front_end=Endpoint(7781, "192.0.2.1"), back_end=Endpoint(7782, "192.0.2.1"))
    named = Security(enabled=True, client=str(tmp_path / "alice.key"))
    found = list(doctor.keys(replace(config, llm=far, security=named)))
    assert [(finding.level, "alice.key" in finding.says) for finding in found] == [("blocks", True)]


def test_the_server_of_the_vectors_and_the_leader_are_looked_at(tmp_path: Path) -> None:
    assert not list(doctor.store(Config(data_dir=str(tmp_path)), is_running=True))
    shared = Config(data_dir=str(tmp_path), index=Index(store="chroma-server"))
    assert not list(doctor.store(shared, is_running=False))
    away, nobody = doctor.store(shared, is_running=True)
    assert (away.level, nobody.level) == ("note", "note")
    assert "does not run" in away.says
    assert "no worker leads" in nobody.says
    lock = DirectoryLock(tmp_path / "index")
    lock.acquire()
    _, led = doctor.store(shared, is_running=True)
    assert (led.level, led.says.split(";")[0]) == ("ok", f"pid {os.getpid()} leads")
    lock.release()
    assert lock.holder() == 0
    refused = Config(data_dir=str(tmp_path), index=Index(store="chroma-server", chroma_url="http://127.0.0.1:9"))
    (away,) = doctor.store(refused, is_running=False)
    assert (away.level, "index.chroma_url" in away.cure) == ("note", True)
