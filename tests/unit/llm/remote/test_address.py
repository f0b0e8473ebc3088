from __future__ import annotations

import pytest

from clients.errors import ConfigError
from services.llm.backends.remote.address import parse_address, read_key


@pytest.mark.parametrize(
    ("url", "told", "root"),
    [
        ("http://host:8000/v1", "http://host:8000/v1", "http://host:8000"),
        ("http://host:8000/v1/", "http://host:8000/v1", "http://host:8000"),
        ("https://host/openai/v2", "https://host/openai/v2", "https://host/openai"),
        ("http://host", "http://host", "http://host"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1", "http://[::1]:8000"),
        ("https://host:443/v1beta", "https://host/v1beta", "https://host/v1beta"),
    ],
)
def test_an_address_has_a_root_without_its_version(url: str, told: str, root: str) -> None:
    address = parse_address(url, "llm.embed.url")
    assert (str(address), str(address.root)) == (told, root)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "is empty"),
        ("host:8000", "no http address"),
        ("tcp://host:8000", "no http address"),
        ("http://", "no http address"),
        ("http://host:port/v1", "is no address"),
        ("http://host:99999/v1", "is no address"),
        ("http://name:secret@host/v1", "no password"),
        ("http://host/v1?key=1", "no password"),
    ],
)
def test_what_is_no_address_is_refused_with_the_key_that_said_it(url: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        parse_address(url, "llm.embed.url")
    assert "llm.embed.url" in caught.value.message


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_address("http://name:secret@host/v1", "llm.embed.url")
    assert "secret" not in str(caught.value)


def test_a_key_may_stand_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-1")
    assert read_key("$MY_KEY", "k") == read_key("${MY_KEY}", "k") == read_key("sk-1", "k") == "sk-1"
    assert read_key("", "k") == ""


def test_a_key_that_is_missing_or_no_header_is_named_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(ConfigError, match="MY_KEY is not set"):
        read_key("$MY_KEY", "llm.embed.api_key")
    with pytest.raises(ConfigError, match="no HTTP header") as caught:
        read_key("sk-1\r\nX: y", "llm.embed.api_key")
    assert "sk-1" not in str(caught.value)
