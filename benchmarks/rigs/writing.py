"""What the engines of ``benchmarks/generate.py`` are asked, and how each is timed."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable

# Each of these is one token of a Llama or GPT-like vocabulary, with its blank.
WORDS = """
time people way water day man year work house world school state life place part number system question city group
country problem hand fact case week company government room night point home book business money story power hour
game line member law car name team minute idea body back parent face level office door health person art war
history party result change morning reason research girl moment air teacher
"""
FIRST_TOKENS = 1
DECODE_TOKENS = 65

Write = Callable[[str, int], int]


def text(key: str, num_words: int) -> str:
    """Words that no other key begins with."""
    chance = random.Random(key)
    words = WORDS.split()
    return " ".join(chance.choice(words) for _ in range(num_words))


def serve(write: Write, about: dict[str, object], forget: Callable[[], None] = lambda: None) -> None:
    """Answer the lines on standard input.

    Args:
        write: continues a prompt greedily by so many tokens; returns how many came.
        about: what the engine is.
        forget: drops what was remembered of prompts, for engines that would not on their own.
    """
    print(json.dumps(about), flush=True)
    for line in sys.stdin:
        part, number, prompt, answer = json.loads(line)
        forget()
        print(json.dumps(PARTS[part](write, number, prompt, answer)), flush=True)


def _cpu_s(write: Write, prompt: str, answer: int) -> float:
    start = time.process_time()
    count = write(prompt, answer)
    taken = time.process_time() - start
    if count != answer:
        print(f"{count} tokens came, not {answer}: an end token", file=sys.stderr)
    return taken


def _decode(write: Write, number: int, _prompt: int, _answer: int) -> dict[str, float]:
    """64 tokens after a short prompt, without what the prompt takes."""
    words = text(f"decode {number}", 16)
    first = _cpu_s(write, words, FIRST_TOKENS)
    return {"decode 64": _cpu_s(write, "So: " + words, DECODE_TOKENS) - first}


def _prefill(write: Write, number: int, prompt: int, _answer: int) -> dict[str, float]:
    return {"prefill": _cpu_s(write, text(f"prefill {number}", prompt), FIRST_TOKENS)}


def _rag(write: Write, number: int, prompt: int, answer: int) -> dict[str, float]:
    return {"rag": _cpu_s(write, text(f"rag {number}", prompt), answer)}


def _follow_up(write: Write, number: int, prompt: int, _answer: int) -> dict[str, float]:
    """A second question to the same context, until its first token."""
    context = text(f"context {number}", prompt)
    write(f"{context} {text(f'first {number}', 24)}", FIRST_TOKENS)
    return {"follow-up": _cpu_s(write, f"{context} {text(f'second {number}', 24)}", FIRST_TOKENS)}


PARTS = {"decode": _decode, "prefill": _prefill, "rag": _rag, "follow_up": _follow_up}
