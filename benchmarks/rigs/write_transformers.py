"""transformers' generate in fp32, for ``benchmarks/generate.py``."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.rigs.writing import serve


def main(directory: Path, threads: int) -> None:
    """Serve standard input."""
    torch.set_num_threads(threads)
    (weights,) = directory.glob("*.gguf")
    tokenizer = AutoTokenizer.from_pretrained(directory, gguf_file=weights.name)
    model = AutoModelForCausalLM.from_pretrained(directory, gguf_file=weights.name, dtype=torch.float32).eval()

    def write(prompt: str, answer: int) -> int:
        inputs = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
        with torch.inference_mode():
            ids = model.generate(**inputs, max_new_tokens=answer, do_sample=False)
        return int(ids.shape[1] - inputs.input_ids.shape[1])

    serve(write, {"transformers": transformers.__version__, "torch": torch.__version__, "dtype": str(model.dtype)})


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
