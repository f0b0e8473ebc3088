"""What does a value look like on this terminal: a table, plain lines, one JSON document?"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TextIO

import click
import numpy as np
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

SNIPPET_CHARS = 160


def terminal(stream: TextIO | None = None) -> Console:
    """A console on a stream (stdout if none is given); colours only on a terminal and without NO_COLOR."""
    return Console(file=stream or sys.stdout, highlight=False, soft_wrap=True)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table: ruled on a terminal, aligned plain lines into a pipe."""
    cells = [[str(cell) for cell in row] for row in rows]
    out = terminal()
    if not out.is_terminal:
        for line in aligned([list(columns), *cells]):
            click.echo(line)
        return
    ruled = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        ruled.add_column(column, overflow="fold")
    for row in cells:
        ruled.add_row(*map(Text, row))
    out.soft_wrap = False
    out.print(ruled)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines whose columns begin in one place, wide characters counted as two."""
    widths = [max(cell_len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(_pad(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _pad(cell: str, width: int) -> str:
    return cell + " " * (width - cell_len(cell))


def document(value: object) -> None:
    """Print one JSON document and nothing else."""
    click.echo(json.dumps(plain(value), ensure_ascii=False, indent=2))


def plain(value: object) -> object:
    """Dataclasses and arrays as JSON's own kinds."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def snippet(text: str, limit: int = SNIPPET_CHARS) -> str:
    """A text on one line, shortened."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def place(document_name: str, page: int = 0, heading: str = "") -> str:
    """Where a passage stands: document, page, heading."""
    return " · ".join(part for part in (document_name, f"page {page}" if page else "", heading) if part)


def size(num_bytes: int) -> str:
    """Bytes for people."""
    amount = float(num_bytes)
    for unit in ("B", "KB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def duration(seconds: float) -> str:
    """Seconds for people: ``0.4 s``, ``02:11``, ``1:05:09``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60:02}:{rest % 60:02}"


def latency(seconds: float) -> str:
    """A short time for people: ``0.4 ms``, ``38 ms``, ``2.1 s``."""
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{seconds * 1000:.1f} ms" if 0 < seconds < 0.01 else f"{seconds * 1000:.0f} ms"


def moment(seconds: float) -> str:
    """A moment since 1970 in local time; empty for 0."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds)) if seconds else ""


def note(text: str) -> None:
    """Say something beside the data: dim, on stderr."""
    terminal(sys.stderr).print(Text(text, style="dim"))
