"""Which addresses may a fetch connect to? None inside the operator's own networks unless the configuration names it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from clients.errors import Forbidden

from .trouble import Trouble

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Sequence[str]]
# RFC 6052: the last 32 bits of these addresses are an IPv4 address behind a translator.
NAT64 = ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Allowed:
    """What ``index.web.allow`` names beside the public internet.

    Attributes:
        hosts: names in lower case; one that begins with a dot means every name below it.
        networks: addresses that may be connected to by any name.
    """

    hosts: tuple[str, ...] = ()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    def has_host(self, host: str) -> bool:
        """Whether a name is listed."""
        return any(host == name or (name.startswith(".") and host.endswith(name)) for name in self.hosts)

    def has_address(self, address: Address) -> bool:
        """Whether an address lies in a listed network."""
        return any(address.version == network.version and address in network for network in self.networks)


def allowed(entries: Sequence[str]) -> Allowed:
    """The entries of ``index.web.allow``: networks and addresses are told from names by their form."""
    hosts: list[str] = []
    networks: list[IPv4Network | IPv6Network] = []
    for entry in entries:
        try:
            networks.append(ip_network(entry.strip(), strict=False))
        except ValueError:
            hosts.append(entry.strip().lower())
    return Allowed(tuple(hosts), tuple(networks))


def system_resolve(host: str, port: int) -> list[str]:
    """The addresses that this machine's resolver gives for a name, in its order."""
    return list(dict.fromkeys(str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


def addresses(host: str, port: int, allow: Allowed, resolve: Resolve = system_resolve) -> list[str]:
    """The addresses of a host, each of them one that may be connected to.

    The caller connects to one of these and not to the name: a second look-up could answer otherwise.

    Raises:
        Forbidden: one of the addresses is not public and not allowed; all of them have to be.
        Trouble: the name has no address, or the resolver fails.
    """
    try:
        found = [ip_address(text.partition("%")[0]) for text in resolve(host, port)]
    except (OSError, UnicodeError) as error:
        raise Trouble(f"{host} has no address: {error}", help="check the spelling, and the name server") from error
    if not found:
        raise Trouble(f"{host} has no address", help="check the spelling")
    for address in found:
        if not _may_connect(host, address, allow):
            raise Forbidden(
                f"{host} is {address}, which is not a public address",
                help="for a server of your own network, list its name or network in index.web.allow",
            )
    return [str(address) for address in found]


def _may_connect(host: str, address: Address, allow: Allowed) -> bool:
    real = _embedded(address)
    if allow.has_address(address) or allow.has_address(real):
        return True
    # Where clouds keep their credentials (169.254.169.254), a name alone opens nothing: names can be pointed anywhere.
    if real.is_link_local:
        return False
    return is_public(address) or allow.has_host(host)


def is_public(address: Address) -> bool:
    """Whether an address, and the IPv4 address that it may carry inside, belongs to the public internet."""
    real = _embedded(address)
    if real != address:
        return is_public(real)
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _embedded(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
