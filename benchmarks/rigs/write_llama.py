"""llama.cpp by xllamacpp's server in the process, for ``benchmarks/generate.py``."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

import xllamacpp

from benchmarks.rigs.writing import serve

CONTEXT_TOKENS = 4096


def main(directory: Path, threads: int) -> None:
    """Serve standard input."""
    (weights,) = directory.glob("*.gguf")
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.n_ctx, params.n_parallel, params.warmup = CONTEXT_TOKENS, 1, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(params)

    def write(prompt: str, answer: int) -> int:
        asked = {"prompt": prompt, "n_predict": answer, "temperature": 0.0, "cache_prompt": True, "ignore_eos": True}
        reply = server.handle_completions(asked)
        found = json.loads(reply) if isinstance(reply, str) else reply
        return int(found["tokens_predicted"] if "tokens_predicted" in found else found["usage"]["completion_tokens"])

    serve(write, {"xllamacpp": version("xllamacpp")})


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
