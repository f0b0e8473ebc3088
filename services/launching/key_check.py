"""Do the keys on this machine open its own mesh: are they here, private, on the list, and made for these proxies?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from clients.allowed import FILE, read_allowed
from clients.config import Config
from clients.errors import ConfigError, NotFound, RagqError
from clients.keys import BACK_FILE, FRONT_FILE, Credential, credential_of, read_pair
from services.launching.keyring import Keyring
from services.launching.places import here


def hosts_proxies(config: Config) -> bool:
    """Whether a proxy of the mesh belongs on this machine, which then needs the proxies' own keys."""
    return any(here(config, service) for service in config.enabled_services)


def is_new(config: Config) -> bool:
    """Whether no key has been made yet."""
    return hosts_proxies(config) and Keyring(config.keys_folder).is_empty


def troubles(config: Config) -> Iterator[RagqError]:
    """What is wrong with the keys of this machine, each with its cure."""
    is_host = hosts_proxies(config)
    looks: list[Callable[[], object]] = [lambda: _proxies(config)] if is_host else []
    if is_host or config.security.client:
        looks.append(lambda: _credential(config, "client", is_host=is_host))
    if is_host or config.security.worker:
        looks.append(lambda: _credential(config, "worker", is_host=is_host))
    for look in looks:
        try:
            look()
        except RagqError as error:
            yield error


def _proxies(config: Config) -> None:
    for file in (FRONT_FILE, BACK_FILE):
        try:
            read_pair(config.keys_folder / file)
        except NotFound as error:
            raise ConfigError(
                error.message,
                help="copy it back, or from another machine with proxies of this mesh; all of them have the same",
            ) from None
    read_allowed(config.keys_folder / FILE)


def _credential(config: Config, use: Literal["client", "worker"], *, is_host: bool) -> None:
    found = credential_of(config, use)
    if found is not None and is_host:
        _demand_fit(config, found)


def _demand_fit(config: Config, credential: Credential) -> None:
    """Refuse a credential that the proxies here would refuse; what is wrong with their own files is told elsewhere."""
    try:
        front, members = read_pair(config.keys_folder / FRONT_FILE), read_allowed(config.keys_folder / FILE)
    except RagqError:
        return
    again = f"'ragq keys new NAME --role {credential.roles[0]} --out FILE' makes one that fits"
    if credential.front != front.public:
        raise ConfigError(f"the key of '{credential.name}' was made for other proxies than those here", help=again)
    if not any(member.public == credential.public and not member.revoked for member in members):
        raise ConfigError(
            f"the key of '{credential.name}' is revoked, or not in {config.keys_folder / FILE}", help=again
        )
