"""How fast does a GGUF model write beside transformers and llama.cpp, with the same weights and one thread?

``python benchmarks/generate.py --home HOME --peers PYTHON``: HOME holds the model, PYTHON is an interpreter with torch,
transformers, gguf and xllamacpp. Every engine runs in a process of its own; the rounds take turns, prompts
differ from round to round so that no cache flatters, and CPU seconds are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

RIGS = Path(__file__).parent / "rigs"
ROOT = Path(__file__).parents[1]
MODEL = "smollm2-135m-instruct"
ENGINES = {"ragq": "write_ragq.py", "transformers": "write_transformers.py", "llama.cpp": "write_llama.py"}
PARTS = ("decode", "prefill", "rag", "follow_up")


class Engine:
    """A process that does one part per line it reads, and tells the CPU seconds it took."""

    def __init__(self, name: str, python: str, directory: Path, threads: int) -> None:
        self.name = name
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
        command = [python, "-u", str(RIGS / ENGINES[name]), str(directory), str(threads)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.about = self._line()

    def do(self, part: str, number: int, prompt: int, answer: int) -> dict[str, float]:
        """The figures of a part, by name; CPU seconds."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([part, number, prompt, answer]) + "\n")
        self._process.stdin.flush()
        figures: dict[str, float] = self._line()
        return figures

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait()

    def _line(self) -> dict[str, float]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                found: dict[str, float] = json.loads(line)
                return found
        raise SystemExit(f"{self.name} ended: see its message above")


def main() -> None:
    """Measure and print a table."""
    options = _options()
    directory = options.home / "models" / MODEL
    engines = [
        Engine(name, sys.executable if name == "ragq" else options.peers, directory, options.threads)
        for name in options.engines
    ]
    for engine in engines:
        print(f"{engine.name}: {engine.about}")
    taken: dict[tuple[str, str], list[float]] = defaultdict(list)
    for number in range(options.rounds):
        for part in PARTS:
            for engine in engines:
                for name, cpu_s in engine.do(part, number, options.prompt, options.answer).items():
                    taken[name, engine.name].append(cpu_s)
    _show(taken, [engine.name for engine in engines])
    for engine in engines:
        engine.close()


def _show(taken: dict[tuple[str, str], list[float]], engines: list[str]) -> None:
    """CPU seconds, and for each peer how often ragq's go into them: the median of the rounds' ratios."""
    for part in dict.fromkeys(name for name, _ in taken):
        cells = [f"{engine} {statistics.median(taken[part, engine]):.3f} s" for engine in engines]
        for engine in engines[1:]:
            pairs = zip(taken[part, engine], taken[part, engines[0]], strict=True)
            cells.append(f"{engine}/{engines[0]} {statistics.median(a / b for a, b in pairs):.2f}x")
        print(f"{part:12s} " + "  ".join(cells))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="ragq's home, with the model")
    parser.add_argument("--peers", default=sys.executable, help="interpreter with the peers")
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=ENGINES, help="the first is compared")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--prompt", type=int, default=1500, help="tokens of the RAG prompt")
    parser.add_argument("--answer", type=int, default=150, help="tokens of its answer")
    return parser.parse_args()


if __name__ == "__main__":
    main()
