"""Our embedding backend without a service: ``python -m benchmarks.serving.direct HOME MODEL DTYPE MAX_TOKENS``.

All texts of an order are there at once, in the order of their lengths: what serving can be at best.
It obeys the same lines as ``load``.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.serving.texts import Mix
from clients.config import Model
from services.llm.backends.base import Embedder, Prepared
from services.llm.backends.registry import Site, backend
from services.models import Shelf


def batches(texts: list[Prepared], embedder: Embedder) -> Iterator[list[Prepared]]:
    """Neighbours in length, up to the budget, while the added padding is cheaper than another pass."""
    batch: list[Prepared] = []
    for text in sorted(texts, key=lambda text: text.num_tokens):
        longer = text.num_tokens - batch[-1].num_tokens if batch else 0
        fits = (len(batch) + 1) * text.num_tokens <= embedder.budget_tokens
        if batch and not (fits and longer * len(batch) <= embedder.max_waste_tokens):
            yield batch
            batch = []
        batch.append(text)
    yield batch


def main() -> None:
    home, name, dtype, max_tokens = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    shelf = Shelf(home)
    settings = Model(name, dtype=dtype, max_tokens=max_tokens)  # type: ignore[arg-type]  # a choice of the command
    embedder = backend("openvino").embedder(settings, Site(shelf, 1, home / "cache"))
    mix = Mix(str(shelf.locate(name).path / "tokenizer.json"))
    first = embedder.run(embedder.prepare(mix.texts("documents", 1, -1), "document"))[0]
    print(json.dumps([float(value) for value in first]), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        texts = mix.texts(order["mix"], order["count"], order["seed"])
        began = time.perf_counter()
        for batch in batches(embedder.prepare(texts, "document"), embedder):
            embedder.run(batch, is_alone=True)
        seconds = time.perf_counter() - began
        print(json.dumps({"calls": len(texts), "seconds": seconds, "p50_ms": 0.0, "p99_ms": 0.0}), flush=True)


if __name__ == "__main__":
    main()
