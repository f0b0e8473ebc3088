"""Which files of a model's directory, here or in a hub, are needed to serve it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
PICKLED_SHARD = re.compile(r"pytorch_model-\d{5}-of-\d{5}\.bin")
SETTINGS = frozenset(
    {
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
        "special_tokens_map.json", "chat_template.jinja", "chat_template.json", "modules.json",
        "config_sentence_transformers.json", "sentence_bert_config.json", "sentence_roberta_config.json",
        "sentence_xlm-roberta_config.json", "README.md", "LICENSE", "LICENSE.txt", "NOTICE",
    }
)  # fmt: skip
# Readable kinds of GGUF files, the best choice first: those that are repacked take the memory of Q8_0 all the same.
GGUF_CHOICE = ("q8_0", "q4_0", "q4_k_m", "q5_k_m", "q4_1", "f16")
SPLIT_GGUF = re.compile(r"-\d{5}-of-\d{5}\.gguf$")
MODULE = re.compile(r"\d+_[A-Z][A-Za-z]*/config\.json")


def needed(names: Iterable[str]) -> tuple[str, ...]:
    """The names that are needed of those in a directory, sorted; one kind of weights, the best one.

    Safetensors come first, whole before in shards; pickled weights only where there are no others.
    """
    present = set(names)
    settings = {name for name in present if name in SETTINGS or MODULE.fullmatch(name)}
    return tuple(sorted(settings | _weights(present)))


def _weights(present: set[str]) -> set[str]:
    if WEIGHTS in present:
        return {WEIGHTS}
    if INDEX in present:
        return {INDEX} | {name for name in present if SHARD.fullmatch(name)}
    if PICKLED[0] in present:
        return {PICKLED[0]}
    if PICKLED[1] in present:
        return {PICKLED[1]} | {name for name in present if PICKLED_SHARD.fullmatch(name)}
    return set()


def needed_gguf(names: Iterable[str]) -> tuple[str, ...]:
    """The .gguf file to take of a repository that has nothing else; empty if there are others, or none readable."""
    present = set(names)
    if _weights(present):
        return ()
    files = sorted(name for name in present if name.endswith(".gguf") and not SPLIT_GGUF.search(name))
    for kind in GGUF_CHOICE:
        if found := [name for name in files if kind in name.lower()]:
            return (found[0],)
    return ()


def weight_files(directory: Path, weights: str) -> list[str]:
    """Names of the files that hold the weights: one, or those of an index."""
    if not weights.endswith(".json"):
        return [weights]
    return sorted(set(json.loads((directory / weights).read_text(encoding="utf-8"))["weight_map"].values()))


def stated_licence(directory: Path) -> str:
    """The licence at the head of a model's README; empty when it does not say."""
    readme = directory / "README.md"
    if not readme.is_file():
        return ""
    head = readme.read_text(encoding="utf-8", errors="replace").partition("\n---")[0]
    match = re.search(r"^license: *['\"]?([A-Za-z0-9._-]+)", head, re.MULTILINE)
    return match[1] if match else ""
