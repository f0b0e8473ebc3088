"""How does one file come over HTTP, through cut connections, busy servers and kills of this process."""

from __future__ import annotations

import errno
import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPMessage
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from clients.errors import Busy, DataLoss, Forbidden, NotFound, RagqError, Unauthenticated, Unreachable

BLOCK_BYTES = 1 << 20
OTHER_WAYS = (
    "set HF_ENDPOINT or --source to a mirror that this machine reaches, or copy the model's files here and "
    "'ragq models add PATH'"
)
TIMEOUT_S = 30.0
PARTIAL = 206
# Failures of this machine's disk, which no patience with a server cures.
LOCAL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EFBIG, errno.EIO})


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and after how many seconds a failed request is tried again; a file that grew starts anew."""

    attempts: int = 5
    first_s: float = 0.5
    longest_s: float = 60.0

    def wait(self, failures: int, asked_s: float) -> None:
        """Sleep twice as long after each failure, or as long as the server asks."""
        time.sleep(min(self.longest_s, max(asked_s, self.first_s * 2 ** (failures - 1))))


@dataclass(frozen=True, slots=True)
class Remote:
    """A file on a server.

    Attributes:
        num_bytes: its size; 0 if unknown.
        sha256: of its content; empty if unknown.
        blob: git's own hash of its content, for files without a sha256.
    """

    address: str
    num_bytes: int = 0
    sha256: str = ""
    blob: str = ""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads from servers over HTTP.

    Attributes:
        headers: for every request, such as one that authorises; they never follow to another host.
        patience: with failures that may pass.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    patience: Patience = Patience()

    def read(self, address: str) -> bytes:
        """A short answer whole.

        Raises:
            NotFound, Unauthenticated, Forbidden, Busy, Unreachable: what the server says, or that it does not.
        """
        return bytes(self._patiently(lambda: self._whole(address), lambda: 0))

    def fetch(self, remote: Remote, target: Path, tell: Callable[[int], None]) -> None:
        """Put a file at ``target``, going on from what is already there, and check it.

        Raises:
            DataLoss: the file that came is another one; it is removed.
            NotFound, Unauthenticated, Forbidden, Busy, Unreachable: as ``read``; what came is kept.
        """
        if not (remote.num_bytes and _size(target) == remote.num_bytes):
            self._patiently(lambda: self._continue(remote, target, tell), lambda: _size(target))
        tell(_size(target))
        if problem := _difference(remote, target):
            target.unlink()
            raise DataLoss(f"{target.name} is not the file that it should be: {problem}", help="try again")

    def _whole(self, address: str) -> bytes:
        with self._open(address, {}) as answer:
            raw: bytes = answer.read()
            return raw

    def _continue(self, remote: Remote, target: Path, tell: Callable[[int], None]) -> None:
        begin = _size(target)
        if remote.num_bytes and begin > remote.num_bytes:
            target.unlink()
            begin = 0
        with self._open(remote.address, {"Range": f"bytes={begin}-"} if begin else {}) as answer:
            begin = begin if answer.status == PARTIAL else 0
            expected = remote.num_bytes or begin + int(answer.headers.get("Content-Length", 0))
            with target.open("ab" if begin else "wb") as file:
                _copy(answer, file, tell, begin)
        if _size(target) < expected:
            raise Unreachable(f"the connection broke after {_size(target)} of {expected} bytes")

    def _open(self, address: str, extra: Mapping[str, str]) -> Any:
        headers = {"User-Agent": "ragq", "Accept-Encoding": "identity", **self.headers, **extra}
        request = urllib.request.Request(address, headers=headers)  # noqa: S310 - the scheme is checked by the caller
        opener = urllib.request.build_opener(_SameHost())
        return opener.open(request, timeout=TIMEOUT_S)

    def _patiently(self, act: Callable[[], Any], grown: Callable[[], int]) -> Any:
        """Do it until it works; only failures without progress count."""
        failures, size = 0, grown()
        while True:
            try:
                return act()
            except (OSError, http.client.HTTPException, Unreachable) as error:
                if getattr(error, "errno", None) in LOCAL:
                    raise
                failure, asked_s = _failure(error)
                failures = 1 if grown() > size else failures + 1
                size = max(size, grown())
                if not failure.retryable or failures >= self.patience.attempts:
                    raise failure from error
            self.patience.wait(failures, asked_s)


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows a redirect without the authorisation when it leads to another host, as hubs do for large files."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        """The next request."""
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None and urlsplit(newurl).netloc != urlsplit(req.full_url).netloc:
            following.remove_header("Authorization")
        return following


def _copy(answer: Any, file: IO[bytes], tell: Callable[[int], None], done: int) -> None:
    while block := answer.read(BLOCK_BYTES):
        file.write(block)
        done += len(block)
        tell(done)


def _failure(error: Exception) -> tuple[RagqError, float]:
    """What an exception means, and how many seconds the server asks to wait."""
    if isinstance(error, RagqError):
        return error, 0.0
    if not isinstance(error, urllib.error.HTTPError):
        reason = getattr(error, "reason", error)
        said = f"the hub does not answer: {getattr(reason, 'strerror', '') or reason}"
        return Unreachable(said, help=OTHER_WAYS), 0.0
    error.close()
    asked = error.headers.get("Retry-After", "")
    return _status(error.code, error.url), float(asked) if asked.isdigit() else 0.0


def _status(code: int, address: str | None) -> RagqError:
    place = urlsplit(address or "").path
    if code == http.HTTPStatus.UNAUTHORIZED:
        return Unauthenticated(f"the hub answers 401 for {place}: it wants to know who asks, or there is no such model")
    if code == http.HTTPStatus.FORBIDDEN:
        return Forbidden(f"the hub answers 403 for {place}: its terms must be accepted first")
    if code == http.HTTPStatus.NOT_FOUND:
        return NotFound(f"the hub answers 404 for {place}")
    if code == http.HTTPStatus.TOO_MANY_REQUESTS:
        return Busy(f"the hub answers 429 for {place}: too many requests")
    return Unreachable(f"the hub answers {code} for {place}")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _difference(remote: Remote, path: Path) -> str:
    if remote.num_bytes and _size(path) != remote.num_bytes:
        return f"{_size(path)} bytes, expected {remote.num_bytes}"
    with path.open("rb") as file:
        if remote.sha256:
            return _compared("sha256", hashlib.file_digest(file, "sha256").hexdigest(), remote.sha256)
        if remote.blob:
            digest = hashlib.sha1(b"blob %d\0" % _size(path), usedforsecurity=False)
            digest.update(file.read())
            return _compared("git blob", digest.hexdigest(), remote.blob)
    return ""


def _compared(kind: str, found: str, expected: str) -> str:
    return "" if found == expected else f"{kind} {found[:16]}…, expected {expected[:16]}…"
