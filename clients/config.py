"""What ragq.yml may say, and what holds when it is silent."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import gettempdir
from typing import Literal

from .asking import Ask
from .errors import ConfigError
from .serving import LLM, Index, Model, Service, Tuning, Web

__all__ = ["LLM", "Ask", "Config", "Face", "Index", "Model", "Security", "Service", "Tuning", "Web"]

MAX_SOCKET_PATH = 100


@dataclass(frozen=True, slots=True)
class Face:
    """A face that people or programs reach over HTTP."""

    port: int
    enabled: bool = True
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Security:
    """Keys and encryption (CURVE) on every socket of the mesh.

    Attributes:
        enabled: without it only this machine may reach the mesh, unless ``insecure`` says otherwise.
        folder: the proxies' keys and the list of those who may come; empty means ``keys`` in the data directory.
        client: file with the credential of the clients here; empty means ``client.key`` in that folder.
        worker: file with the credential of the workers here; empty means ``worker.key`` in that folder.
    """

    enabled: bool = False
    folder: str = ""
    client: str = ""
    worker: str = ""


@dataclass(frozen=True, slots=True)
class Config:
    """All of ragq.yml.

    Attributes:
        data_dir: empty means RAGQ_HOME, or the platform's data directory.
        port_offset: added to every port, so that a second mesh fits on one machine.
        insecure: allow a bind to other machines without keys.
        services: third-party services by name.
    """

    data_dir: str = ""
    port_offset: int = 0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    insecure: bool = False
    security: Security = field(default_factory=Security)
    llm: LLM = field(default_factory=LLM)
    index: Index = field(default_factory=Index)
    tuning: Tuning = field(default_factory=Tuning)
    http: Face = field(default_factory=lambda: Face(7780))
    ui: Face = field(default_factory=lambda: Face(8501))
    ask: Ask = field(default_factory=Ask)
    services: dict[str, Service] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """The data directory."""
        if self.data_dir:
            return Path(self.data_dir).expanduser().resolve()
        return _platform_home()

    def service(self, name: str) -> Service:
        """The section of a service; ConfigError for a name that has none."""
        known: dict[str, Service] = {"llm": self.llm, "index": self.index, "tuning": self.tuning, **self.services}
        if name not in known:
            raise ConfigError(f"no service '{name}' in the configuration", help=f"known: {', '.join(known)}")
        return known[name]

    @property
    def keys_folder(self) -> Path:
        """Where the proxies' keys and the list of those who may come are."""
        return Path(self.security.folder) if self.security.folder else self.home / "keys"

    def control_address(self, service: str, number: int = 0) -> str:
        """Where the proxy ``number`` of a service takes orders from this machine: ``ragq drain``, the launcher.

        A path of more than a hundred characters does not fit a socket file, so it is short and tells homes apart.
        """
        name = f"{service}-{number}"
        path = self.home / "run" / name
        if len(str(path)) < MAX_SOCKET_PATH:
            return f"ipc://{path}"
        return f"ipc://{gettempdir()}/ragq-{zlib.crc32(str(self.home).encode()):08x}/{name}"

    @property
    def enabled_services(self) -> list[str]:
        """Names of the services that are to run."""
        names = ["llm", "index", "tuning", *self.services]
        return [name for name in names if self.service(name).enabled]


def _platform_home() -> Path:
    if home := os.environ.get("RAGQ_HOME"):
        return Path(home).expanduser().resolve()
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "ragq"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "ragq"
