"""What is in the sample knowledge base, which is loaded when there is no collection yet?"""

from __future__ import annotations

from pathlib import Path

COLLECTION = "handbook"
TITLE = "ragq handbook"


def files() -> list[Path]:
    """The handbook's files, in the order in which a reader would open them.

    One of them is broken on purpose, to show how a document fails: ``scan-without-text.pdf``.
    """
    return sorted(path for path in (Path(__file__).parent / "handbook").iterdir() if path.is_file())
