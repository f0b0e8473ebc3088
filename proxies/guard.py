"""May this message have its way? What a proxy checks of whoever is connected, with errors that say what is missing."""

from __future__ import annotations

from collections.abc import Container, Iterable

from clients.errors import Forbidden
from proxies.access import Access


class Guard:
    """What one proxy lets its clients and workers do; it knows who each worker is.

    Args:
        service: the proxy's own.
        access: the rights that hold now.
    """

    def __init__(self, service: str, access: Access) -> None:
        self.service = service
        self.access = access
        self._workers: dict[bytes, str] = {}

    def check_client(self, principal: str) -> None:
        """Forbidden for one who may be no client any more."""
        if not self.access.may_connect("clients", principal):
            raise Forbidden(
                f"{self._who(principal)} does not open this mesh any more",
                help="'ragq keys list' where the proxies run tells why; 'ragq keys new' makes another",
            )

    def check_call(self, principal: str, method: int) -> None:
        """Forbidden for a method that the key does not open."""
        if not self.access.may_call(principal, self.service, method):
            self.check_client(principal)
            raise Forbidden(
                f"{self._who(principal)} does not open this method of '{self.service}'",
                help="'ragq keys show' where the proxies run tells what it opens",
            )

    def admit(self, worker: bytes, principal: str) -> None:
        """Remember who a worker is; Forbidden for one that may not serve here."""
        if not self.access.may_serve(principal, self.service):
            self._workers.pop(worker, None)
            raise Forbidden(
                f"{self._who(principal)} may not serve '{self.service}'",
                help=f"'ragq keys new NAME --role worker --service {self.service}' makes one that may",
            )
        self._workers[worker] = principal

    def change(self, access: Access, present: Container[bytes]) -> Iterable[bytes]:
        """Other rights hold from now on; which of the workers that are present may serve no longer."""
        self.access = access
        self._workers = {worker: who for worker, who in self._workers.items() if worker in present}
        return [worker for worker, who in self._workers.items() if not access.may_serve(who, self.service)]

    def _who(self, principal: str) -> str:
        name = self.access.name(principal)
        return f"the key of '{name}'" if name else "this key"
