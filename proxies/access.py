"""May this key do that? Asked for every connection and every call, so it only looks things up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from clients.allowed import Member
from clients.wire import method_key

FOR_ALL = frozenset(map(method_key, ("_sys.health", "_sys.describe", "_sys.stats", "_sys.echo")))
FOR_ADMINS = frozenset(map(method_key, ("_sys.drain", "_sys.lost")))
ROLES_BY_DOMAIN = {
    "clients": frozenset({"client", "admin"}),
    "workers": frozenset({"worker"}),
    "admin": frozenset({"admin"}),
}


class Rights:
    """What one key may do, as sets."""

    __slots__ = ("calls_all", "methods", "name", "roles", "serves", "services")

    def __init__(self, member: Member) -> None:
        self.name = member.name
        self.roles = frozenset(member.roles)
        self.calls_all = not member.calls
        self.services = frozenset(c.removesuffix(".*") for c in member.calls if c.endswith(".*"))
        self.methods = frozenset(method_key(call) for call in member.calls)
        self.serves = frozenset(member.serves)


class Access:
    """The rights of every key that holds.

    A principal is the public key with which a connection proved who it is; '' where it proved nothing.
    """

    def __init__(self, members: Iterable[Member], *, is_open: bool = False) -> None:
        listed = list(members)
        self._is_open = is_open
        self._names = {member.public: member.name for member in listed}
        self._rights = {member.public: Rights(member) for member in listed if not member.revoked}

    @classmethod
    def open(cls) -> Self:
        """The access of a mesh without keys: everyone may do everything."""
        return cls((), is_open=True)

    def name(self, principal: str) -> str:
        """What to call a principal in logs, also after its key was revoked; '' for one who is not on the list."""
        return self._names.get(principal, "")

    def may_connect(self, domain: str, principal: str) -> bool:
        """Whether it may connect as one of ``clients``, ``workers`` or ``admin``."""
        rights = self._rights.get(principal)
        return self._is_open or (rights is not None and not rights.roles.isdisjoint(ROLES_BY_DOMAIN.get(domain, ())))

    def may_call(self, principal: str, service: str, method: int | str) -> bool:
        """Whether it may call a method of a service, given by name or by its key on the wire."""
        if self._is_open:
            return True
        rights = self._rights.get(principal)
        if rights is None or rights.roles.isdisjoint(ROLES_BY_DOMAIN["clients"]):
            return False
        key = method if isinstance(method, int) else method_key(method)
        if key in FOR_ADMINS:
            return "admin" in rights.roles
        return rights.calls_all or service in rights.services or key in rights.methods or key in FOR_ALL

    def may_serve(self, principal: str, service: str) -> bool:
        """Whether it may be a worker of a service."""
        rights = self._rights.get(principal)
        if self._is_open or rights is None:
            return self._is_open
        return "worker" in rights.roles and (not rights.serves or service in rights.serves)

    def is_admin(self, principal: str) -> bool:
        """Whether it may stop a proxy."""
        return self._is_open or self.may_connect("admin", principal)
