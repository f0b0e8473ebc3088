"""The process of one device: ``python -m services.llm.backends.sophon.child DRIVER BMODEL DEVICE [LIBRARIES]``.

The vendor's libraries hold Python's lock while they compute, write on standard output, and end the process on what
they do not like. Here they do no harm: the worker's heartbeats go on, and its answer is an error that says why.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np

from clients.errors import RagqError

from .checked import Checked
from .frames import receive, send
from .port import Cells, Driver

Arrays = Mapping[str, np.ndarray]


def main() -> None:
    """Load, tell what is there, and answer until the other side is gone."""
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # the libraries print there
    driver_name, path, device, *libraries = sys.argv[1:]
    try:
        driver = Checked(open_driver(driver_name, Path(path), int(device), Path(libraries[0]) if libraries else None))
    except RagqError as error:
        send(replies, _refusal(error))
        return
    try:
        send(replies, {"graphs": [asdict(graph) for graph in driver.graphs.values()]})
        _serve(driver, requests, replies)
    except (EOFError, BrokenPipeError):
        pass  # the worker is gone, and so is what there was to do
    finally:
        driver.close()


def open_driver(name: str, path: Path, device: int, libraries: Path | None) -> Driver:
    """A bmodel on a device through SAIL or through the runtime's C interface."""
    if name == "sail":
        from .sail import Sail

        return Sail(path, device)
    from .runtime import Runtime

    return Runtime(path, device, libraries)


def _serve(driver: Driver, requests: IO[bytes], replies: IO[bytes]) -> None:
    while True:
        head, arrays = receive(requests)
        try:
            outputs = _answer(driver, head, arrays)
        except RagqError as error:
            send(replies, _refusal(error))
        else:
            send(replies, {}, outputs)


def _answer(driver: Driver, head: Mapping[str, Any], arrays: Arrays) -> Arrays:
    if "run" in head:
        cells = Cells(*head["cells"]) if head["cells"] else None
        return {str(place): array for place, array in enumerate(driver.run(head["run"], arrays, cells))}
    if "keep" in head:
        driver.keep(head["keep"], arrays)
    elif "reserve" in head:
        driver.reserve(head["reserve"])
    else:
        driver.release(head["release"])
    return {}


def _refusal(error: RagqError) -> dict[str, str]:
    return {"error": type(error).__name__, "message": error.message, "help": error.help}


if __name__ == "__main__":
    main()
