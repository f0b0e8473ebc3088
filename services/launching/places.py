"""Which proxies of a service belong on this machine, and what are they called here?"""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass

from clients.config import Config
from clients.endpoint import Endpoint, Pair, is_loopback
from clients.errors import ConfigError

EVERYWHERE = frozenset({"0.0.0.0", "::", "*"})  # noqa: S104 - compared, not bound


@dataclass(frozen=True, slots=True)
class Place:
    """One proxy of a service: the ``number``-th of its pairs."""

    service: str
    number: int
    pair: Pair

    @property
    def role(self) -> str:
        """What its process is called: ``proxy-llm``, then ``proxy-llm-1``, ``proxy-llm-2``."""
        return f"proxy-{self.service}" + (f"-{self.number}" if self.number else "")

    @property
    def is_here(self) -> bool:
        """Whether both of its ends can be bound on this machine."""
        return is_here(self.pair.front_end) and is_here(self.pair.back_end)


def places(config: Config, service: str) -> list[Place]:
    """Every proxy of a service, here and elsewhere."""
    return [Place(service, number, pair) for number, pair in enumerate(config.service(service).pairs)]


def here(config: Config, service: str) -> list[Place]:
    """The proxies of a service that belong on this machine."""
    return [place for place in places(config, service) if place.is_here]


def elsewhere(config: Config, service: str) -> list[Place]:
    """The proxies of a service that another machine runs."""
    return [place for place in places(config, service) if not place.is_here]


def is_here(end: Endpoint) -> bool:
    """Whether an endpoint's address is one of this machine's; a name that nobody knows is not."""
    if end.protocol != "tcp" or end.host in EVERYWHERE or is_loopback(end.host):
        return True
    with suppress(OSError):
        family, _, _, _, address = socket.getaddrinfo(end.host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.bind(address)
            return True
    return False


def left_to_others(config: Config, services: list[str]) -> list[str]:
    """A line for each proxy that another machine is to run."""
    return [
        f"{place.role} belongs to {place.pair.front_end.host}; 'ragq up --role proxy' starts it there"
        for service in services
        for place in elsewhere(config, service)
    ]


def demand_one(config: Config, services: list[str]) -> None:
    """Make sure that a machine that is asked for proxies has one.

    Raises:
        ConfigError: every proxy of every service belongs elsewhere.
    """
    if services and not any(here(config, service) for service in services):
        hosts = sorted({place.pair.front_end.host for service in services for place in elsewhere(config, service)})
        raise ConfigError(
            f"no proxy belongs on this machine; ragq.yml puts them on {', '.join(hosts)}",
            help="leave out '--role proxy', or name an address of this machine in front_end and back_end",
        )
