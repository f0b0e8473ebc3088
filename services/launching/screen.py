"""What does a person see at the console while a mesh starts, runs and stops?"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.status import Status
from rich.text import Text

from clients.config import Config
from clients.settings import Loaded
from services.launching.readiness import Answered, url

STYLES = {"ready": "green", "failed": "bold red", "off": "dim", "waiting": "yellow"}
SMALL_WRITERS = ("smollm2-135m-instruct", "none")


@dataclass(frozen=True, slots=True)
class Line:
    """A part of the mesh and how it stands."""

    name: str
    state: str
    took: str = ""
    note: str = ""

    def text(self) -> Text:
        """Aligned for the start screen."""
        state = Text(f"{self.state:<8}", style=STYLES.get(self.state, ""))
        return Text.assemble(f"  {self.name:<12}", state, f"{self.took:>7}   ", self.note)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Fall silent; the library's own way is to end the process."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


class Screen:
    """The console of one start: one screen of text, with a spinner and colours where it is a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.console: Console = _Console(file=stream or sys.stdout, highlight=False, soft_wrap=True)
        self._status: Status | None = None

    def say(self, text: str | Text = "") -> None:
        """Print a line. A console that went away (a closed pipe) does not end the mesh."""
        try:
            self.console.print(text, markup=False)
        except OSError:
            self.console.on_broken_pipe()

    def header(self, loaded: Loaded, notes: Sequence[str] = ()) -> None:
        """Version, data directory and the configuration used; then what should be known, a line each."""
        config = short(loaded.path) if loaded.path else "built-in (run 'ragq init' to write ragq.yml)"
        self.say(
            Text.assemble(
                ("ragq " + own_version(), "bold"), f"  ·  data {short(loaded.config.home)}  ·  config: {config}"
            )
        )
        for warning in (*loaded.warnings, *notes):
            self.say(Text(f"note: {warning}", style="yellow"))
        self.say()

    def waiting(self, names: Sequence[str]) -> None:
        """Show what is still awaited; only a terminal has a line that changes."""
        if not self.console.is_terminal:
            return
        if self._status is None and names:
            self._status = self.console.status("")
            self._status.start()
        if self._status is not None:
            self._status.update(f"starting {', '.join(names)}")
        if not names:
            self.calm()

    def calm(self) -> None:
        """Take the spinner away."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def answered(self, answer: Answered) -> None:
        """A part is ready."""
        self.say(Line(answer.name, "ready", f"{answer.after_s:.1f} s", answer.note).text())

    def failed(self, name: str, why: str) -> None:
        """A part is down for good."""
        self.say(Line(name, "failed", note=f"{why}; see 'ragq logs {name}'").text())

    def footer(self, config: Config, parts: Sequence[str], took_s: float) -> None:
        """Where to go, and how to stop; printed when what it names answers."""
        self.say()
        for text in footer_lines(config, parts, took_s):
            self.say(f"  {text}")
        self.say()


def footer_lines(config: Config, parts: Sequence[str], took_s: float) -> list[str]:
    """The last lines of the start screen for the parts that answer."""
    lines = []
    if "ui" in parts:
        lines.append(f"Open     {url(config.ui)}")
    if "http" in parts:
        lines.append(f"API      {url(config.http)}/v1")
    fronts = [
        f"{name} {' '.join(config.service(name).fronts)}"
        for name in config.enabled_services
        if {name, f"proxy-{name}"} & set(parts)
    ]
    if fronts:
        lines.append(f"Mesh     {'   '.join(fronts)}")
    lines.append("Stop     Ctrl-C        Logs  ragq logs -f        Help  ragq --help")
    if "llm" in parts and config.llm.generate.name in SMALL_WRITERS:
        lines.append(
            "Better   ragq models pull better, then llm.generate.name: qwen2.5-coder-0.5b-instruct in ragq.yml"
        )
    lines.append(f"Started in {took_s:.1f} s")
    return lines


def short(path: Path) -> str:
    """A path with the home directory as ``~``."""
    try:
        return str(Path("~") / path.relative_to(Path.home()))
    except (ValueError, RuntimeError):
        return str(path)


def own_version() -> str:
    """The installed version, or ``dev`` in a checkout."""
    try:
        return version("ragq")
    except PackageNotFoundError:
        return "dev"
