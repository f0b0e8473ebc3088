"""What every command is given: where the configuration is, and a mesh to call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clients.config import Config
    from clients.mesh import Ragq


@dataclass(frozen=True, slots=True)
class Session:
    """The global options; the console command puts one into ``ctx.obj`` before a command runs.

    Attributes:
        config_path: a ragq.yml; empty means the usual places.
        data_dir: wins over the configuration's; empty means the configuration's.
        debug: show tracebacks.
    """

    config_path: str = ""
    data_dir: str = ""
    debug: bool = False

    def config(self) -> Config:
        """The configuration with the global options applied; ConfigError when it is wrong."""
        from clients.settings import load

        flags = {"data_dir": self.data_dir} if self.data_dir else {}
        return load(self.config_path or None, flags=flags).config

    def mesh(self, timeout_s: float = 30.0) -> Ragq:
        """A mesh to call; use it in a ``with`` statement."""
        from clients.mesh import Ragq

        return Ragq(self.config(), timeout_s=timeout_s)
