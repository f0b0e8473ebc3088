"""sentence-transformers as the peer of ``benchmarks/embed.py``.

    python st_embed.py MODEL MAX_TOKENS TEXTS.json VECTORS.npy

Runs in an environment of its own. For each number on standard input it embeds all texts in batches of so many, sorted
by length as the library does, and prints the processor seconds; the vectors of the last go to VECTORS.npy.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer


def main(path: str, max_tokens: int, texts: Path, vectors: Path) -> None:
    torch.set_num_threads(1)
    model = SentenceTransformer(path, device="cpu")
    model.max_seq_length = max_tokens
    sentences = json.loads(texts.read_text(encoding="utf-8"))
    for line in sys.stdin:
        start = time.process_time()
        found = model.encode(sentences, batch_size=int(line), normalize_embeddings=True, show_progress_bar=False)
        spent = time.process_time() - start
        np.save(vectors, found)
        print(spent, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))
