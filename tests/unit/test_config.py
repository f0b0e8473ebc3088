"""What does the configuration say of itself?"""

from __future__ import annotations

from pathlib import Path

import pytest

from clients.config import Config, Service
from clients.endpoint import Endpoint, is_loopback
from clients.errors import ConfigError


def test_an_endpoint_says_what_zeromq_is_given() -> None:
    assert Endpoint(7781).address == "tcp://127.0.0.1:7781"
    assert Endpoint(host="/run/llm", protocol="ipc").address == "ipc:///run/llm"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_loopback_is_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "10.0.0.1", "127.evil.example", "localhost.example", "127.0.0.1.nip.io"]
)
def test_a_name_that_only_looks_like_loopback_is_not(host: str) -> None:
    assert not is_loopback(host)
    assert not Endpoint(1, host).is_local


def test_a_service_of_ones_own_is_found_by_name() -> None:
    mine = Service(front_end=Endpoint(7001), back_end=Endpoint(7002))
    config = Config(services={"cache": mine})
    assert config.service("cache") is mine
    assert config.enabled_services == ["llm", "index", "cache"]


def test_an_unknown_service_names_those_that_are_known() -> None:
    with pytest.raises(ConfigError, match="no service 'lmm'") as caught:
        Config().service("lmm")
    assert "llm" in caught.value.help


def test_the_data_directory_follows_ragq_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAGQ_HOME", str(tmp_path))
    assert Config().home == tmp_path
    assert Config(data_dir="/else/where").home == Path("/else/where")
    monkeypatch.delenv("RAGQ_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert Config().home == tmp_path / "data" / "ragq"
