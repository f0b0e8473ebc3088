"""What does a search by words cost, next to SQLite's FTS5 with its bm25 and its porter stemmer?

    python benchmarks/words.py --data DIR [--sizes 10000,100000] [--rounds 5] [--questions 40]

DIR holds ``techdocs/corpus.jsonl.gz``. Both sides have the same passages; a question is six words of one passage, drawn
evenly from rare to frequent, any of which may match; the best twenty are wanted. Figures are CPU milliseconds of this
process per question, medians of interleaved rounds. "Among" limits a search to so many ids.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from services.index.entries import Entry  # noqa: E402
from services.index.keyword import KeywordIndex  # noqa: E402
from services.index.tokens import STOP  # noqa: E402

TOP = 20
NUM_WORDS = 6
GATE = 20.0
BATCH = 5000
Ask = Callable[[str], object]


def passages(path: Path, count: int) -> list[str]:
    """The same ones each time, from all over the corpus."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    random.Random(0).shuffle(lines)
    return [f"{line['title']}\n{line['text']}" for line in lines[:count]]


def questions(texts: Sequence[str], count: int) -> list[str]:
    """Six words each."""
    frequency = Counter(word for text in texts for word in set(words(text)))
    dice = random.Random(1)
    found = []
    while len(found) < count:
        own = sorted({word for word in words(dice.choice(texts)) if word not in STOP}, key=frequency.__getitem__)
        if len(own) >= 2 * NUM_WORDS:
            found.append(" ".join(own[i * (len(own) - 1) // (NUM_WORDS - 1)] for i in range(NUM_WORDS)))
    return found


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]{3,}", text.lower())


def peer(folder: Path, texts: Sequence[str]) -> Ask:
    """FTS5 on disk, optimised."""
    database = sqlite3.connect(folder / "fts.sqlite", check_same_thread=False)
    database.execute("CREATE VIRTUAL TABLE passages USING fts5(body, tokenize = 'porter unicode61')")
    database.executemany("INSERT INTO passages (rowid, body) VALUES (?, ?)", enumerate(texts))
    database.execute("INSERT INTO passages (passages) VALUES ('optimize')")
    database.commit()
    query = "SELECT rowid FROM passages WHERE passages MATCH ? ORDER BY rank LIMIT ?"
    return lambda question: database.execute(query, (" OR ".join(question.split()), TOP)).fetchall()


def own(folder: Path, texts: Sequence[str]) -> KeywordIndex:
    """This project's index."""
    index = KeywordIndex(folder / "own")
    nothing = np.zeros(0, np.float32)
    for at in range(0, len(texts), BATCH):
        index.update(Entry(f"{at + i:032x}", text, nothing) for i, text in enumerate(texts[at : at + BATCH]))
    return index


def report(texts: Sequence[str], rounds: int, num_questions: int) -> Iterator[str]:
    """A Markdown table for one size."""
    asked = questions(texts, num_questions)
    with tempfile.TemporaryDirectory() as home:
        began = time.process_time()
        fts = peer(Path(home), texts)
        peers_s, began = time.process_time() - began, time.process_time()
        index = own(Path(home), texts)
        yield f"to build: FTS5 {peers_s:.1f} CPU seconds, ours {time.process_time() - began:.1f}"
        asks: dict[str, Ask] = {"FTS5": fts, "ours": lambda question: index.search(question, TOP)}
        for size in (100, len(texts) // 10):
            ids = [f"{i:032x}" for i in random.Random(2).sample(range(len(texts)), size)]
            asks[f"ours among {size}"] = lambda question, ids=ids: index.search(question, TOP, ids)  # type: ignore[misc]
        costs: dict[str, list[float]] = {name: [] for name in asks}
        for _ in range(rounds):
            for name, ask in asks.items():
                began = time.process_time()
                for question in asked:
                    ask(question)
                costs[name].append(1000 * (time.process_time() - began) / len(asked))
        index.close()
    yield f"| {len(texts)} passages | CPU ms | FTS5 ÷ this |"
    yield "|---|---|---|"
    for name, spent in costs.items():
        ratio = median(theirs / ours for theirs, ours in zip(costs["FTS5"], spent, strict=True))
        yield f"| {name} | {median(spent):.2f} | {ratio:.1f} |"
        if name == "ours" and len(texts) >= 100_000 and ratio < GATE:
            yield f"FAIL: {GATE} times less than FTS5 is wanted"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sizes", default="10000,100000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--questions", type=int, default=40)
    given = parser.parse_args()
    corpus = given.data / "techdocs" / "corpus.jsonl.gz"
    if not corpus.is_file():
        print(f"skipped: no {corpus}")
        return 0
    has_failed = False
    for size in map(int, given.sizes.split(",")):
        for line in report(passages(corpus, size), given.rounds, given.questions):
            print(line, flush=True)
            has_failed |= line.startswith("FAIL")
        print()
    return has_failed


if __name__ == "__main__":
    sys.exit(main())
