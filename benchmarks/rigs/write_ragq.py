"""ragq's OpenVINO backend, for ``benchmarks/generate.py``."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import openvino

from benchmarks.rigs.writing import serve
from clients.llm import Generate
from services.llm.backends.openvino.chat import OpenVINOChat
from services.models import Shelf
from services.service import Call


def main(directory: Path, threads: int) -> None:
    """Serve standard input."""
    home = directory.parents[1]
    chat = OpenVINOChat(Shelf(home).locate(directory.name), threads=threads)

    def write(prompt: str, answer: int) -> int:
        stream = chat.generate(Generate(prompt, max_tokens=answer), Call(time.monotonic() + 3600))
        while True:
            try:
                next(stream)
            except StopIteration as end:
                count: int = end.value.usage.completion_tokens
                return count

    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    serve(write, {"openvino": openvino.__version__, "capabilities": list(capabilities)})


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
