"""Which errors a caller can meet, and how each travels.

::

    RagqError                     code, reason, retryable, help
      RequestError                the caller's fault
        BadRequest                a field is wrong
        UnknownMethod             the service has no such method
        NotFound                  no such collection, document, job
        AlreadyExists             the name is taken
        TooLarge                  over a limit of size
        Forbidden                 the path or key is not allowed
        Unauthenticated           the key was refused
      ServiceError                our fault
        Internal                  a defect, with an id to look up in the log
          PoisonCall              two workers died with this call
        BackendError              a model runtime or a store failed
        ModelNotLoaded            the role has no model yet
      MeshError                   between us; worth another try
        Busy                      a queue is full
          OverLimit               this client has too much under way
        StoreAway                 the server that holds the vectors cannot be reached
        WorkerLost                the worker died with the call
        ConnectionLost            the connection to the proxy broke during the call
        Unreachable               nobody answers at the endpoint
          Draining                the proxy shuts down and takes no more calls
        DeadlineExceeded          the time given was not enough
        DataLoss                  a stream arrived with a gap
          Corrupted               a stream arrived with another checksum
        VersionMismatch           the two ends speak different protocols
      Cancelled                   the caller gave up
    ConfigError                   ragq.yml is wrong; never on the wire
    MissingExtra                  an optional package is not installed; never on the wire
    PortBusy                      another process listens there; never on the wire

Codes are gRPC's status numbers; ``reason`` is a stable word that tells classes of one code apart.
"""

from __future__ import annotations


class RagqError(Exception):
    """Any failure that ragq reports.

    Attributes:
        code: gRPC status number.
        reason: stable word in capitals; programs compare this, people read the message.
        retryable: whether the same call may succeed later.
        never_ran: whether it is certain that no worker began the call, so that any call may be sent again.
        help: what to do about it, one sentence, may be empty.
    """

    code = 2
    reason = "UNKNOWN"
    retryable = False
    never_ran = False

    def __init__(self, message: str, *, help: str = "", retry_after_s: float = 0.0) -> None:  # noqa: A002 - the word users read
        super().__init__(message)
        self.message = message
        self.help = help
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{self.message}\n  {self.help}" if self.help else self.message


class RequestError(RagqError):
    """The caller's fault: the same call will fail again."""

    code, reason = 3, "MALFORMED"


class BadRequest(RequestError):
    """A field of the request is wrong."""


class UnknownMethod(RequestError):
    """The service has no such method."""

    code, reason = 12, "NO_METHOD"


class NotFound(RequestError):
    """The named thing does not exist."""

    code, reason = 5, "NOT_FOUND"


class AlreadyExists(RequestError):
    """The name is taken."""

    code, reason = 6, "ALREADY_EXISTS"


class TooLarge(RequestError):
    """A limit of size was passed."""

    code, reason = 8, "TOO_LARGE"


class Forbidden(RequestError):
    """The path or the key is not allowed."""

    code, reason = 7, "ACL"


class Unauthenticated(RequestError):
    """The key was refused."""

    code, reason = 16, "HANDSHAKE"


class ServiceError(RagqError):
    """Our fault."""

    code, reason = 13, "INTERNAL"


class Internal(ServiceError):
    """A defect; the message carries an id that stands in the service's log."""


class PoisonCall(Internal):
    """Two workers died with this call; it is not given to a third."""

    reason = "POISON_CALL"


class BackendError(ServiceError):
    """A model runtime or a store failed."""

    code, reason = 2, "BACKEND"


class ModelNotLoaded(ServiceError):
    """The role has no model."""

    code, reason = 9, "NO_MODEL"


class MeshError(RagqError):
    """Something between the two ends; worth another try."""

    code, reason, retryable = 14, "UNAVAILABLE", True


class Busy(MeshError):
    """A queue is full; ``retry_after_s`` tells when to come back."""

    code, reason, never_ran = 8, "QUEUE_FULL", True


class OverLimit(Busy):
    """This client has as many calls or bytes under way as one client may."""

    reason = "CLIENT_LIMIT"


class StoreAway(MeshError):
    """The server that holds the vectors cannot be reached, or says nothing in time."""

    reason = "STORE_AWAY"


class WorkerLost(MeshError, ConnectionError):
    """The worker died while it held the call."""

    reason = "WORKER_LOST"


class ConnectionLost(MeshError, ConnectionError):
    """The connection to the proxy broke while the call was under way; it may have run."""

    reason = "CONNECTION_LOST"


class Unreachable(MeshError, ConnectionError):
    """Nobody answers at the endpoint, or no worker stands behind it."""

    reason, never_ran = "NO_WORKERS", True


class Draining(Unreachable):
    """The proxy shuts down and takes no more calls; another one does."""

    reason = "DRAINING"


class DeadlineExceeded(MeshError, TimeoutError):
    """The time given was not enough."""

    code, reason, retryable = 4, "EXPIRED", False


class DataLoss(MeshError):
    """A stream arrived with a gap."""

    code, reason = 15, "STREAM_GAP"


class Corrupted(DataLoss):
    """A stream arrived with another checksum than it was sent with."""

    reason = "CRC"


class VersionMismatch(MeshError):
    """The two ends speak different protocol versions."""

    code, reason, retryable = 9, "VERSION", False


class Cancelled(RagqError):
    """The caller gave up."""

    code, reason = 1, "CANCELLED"


class ConfigError(RagqError):
    """A key or value of ragq.yml, the environment or a flag is wrong."""

    code, reason = 3, "CONFIG"


class MissingExtra(RagqError):
    """An optional package is not installed."""

    code, reason = 9, "MISSING_EXTRA"

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"this needs the package '{package}', which is not installed",
            help=f"pip install 'ragq[{extra}]'",
        )


class PortBusy(RagqError):
    """Another process listens at the address."""

    code, reason = 6, "PORT_BUSY"

    def __init__(self, address: str) -> None:
        super().__init__(
            f"{address} is in use by another process",
            help="stop that process, or choose other ports in ragq.yml or with --port-offset",
        )


_ON_THE_WIRE: tuple[type[RagqError], ...] = (
    RagqError, BadRequest, UnknownMethod, NotFound, AlreadyExists, TooLarge, Forbidden,
    Unauthenticated, Internal, PoisonCall, BackendError, ModelNotLoaded, MeshError, Busy, OverLimit, StoreAway,
    WorkerLost, ConnectionLost, Unreachable, Draining, DeadlineExceeded, DataLoss, Corrupted, VersionMismatch,
    Cancelled,
)  # fmt: skip
BY_REASON: dict[str, type[RagqError]] = {cls.reason: cls for cls in _ON_THE_WIRE}
_BY_CODE: dict[int, type[RagqError]] = {cls.code: cls for cls in reversed(_ON_THE_WIRE)}


def rebuild(code: int, reason: str, message: str, *, help_text: str = "", retry_after_s: float = 0.0) -> RagqError:
    """The error that a failure message stands for; an unknown reason falls back to its code."""
    cls = BY_REASON.get(reason) or _BY_CODE.get(code, RagqError)
    return cls(message, help=help_text, retry_after_s=retry_after_s)
