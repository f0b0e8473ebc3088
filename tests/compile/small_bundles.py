"""Tiny bundles, compiled on the spot from random weights that are the same everywhere."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from compile.build import Wish, build
from compile.decoder import Shape
from compile.source import open_source
from compile.stages import Stages
from compile.tools import VARIABLE, Tools
from services.llm.backends.sophon.device import GIVE_WAY
from services.models import Card, Shelved
from tests.unit.llm import small_tokenizer

from . import checkpoints

DOUBLES = Path(__file__).parents[1] / "doubles"
GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "sophon_golden.json").read_text(encoding="utf-8"))
EMBED = Card(
    "small", "decoder", ("embed",), dimension=checkpoints.HIDDEN, max_tokens=200, pooling="last", min_dimension=8,
    instruction="Find cats", query_prefix="Instruct: {instruction}\nQuery:",
)  # fmt: skip
RERANK = Card("small", "decoder", ("rerank",), max_tokens=256, head="yes_no")
CHAT = Card("small", "decoder", ("generate",), max_tokens=256)
LENGTHS = (Shape(1, 16), Shape(2, 16), Shape(1, 32))


def embedding_checkpoint(directory: Path) -> Shelved:
    """As Qwen3-Embedding is published: no ``model.`` before its keys, and texts end with an end token."""
    checkpoints.write(directory, prefix="")
    small_tokenizer.write(directory, has_end=True)
    return Shelved(EMBED, directory, 0)


def reranking_checkpoint(directory: Path, *, is_tied: bool = True) -> Shelved:
    """As Qwen3-Reranker is published, with the head tied or not."""
    checkpoints.write(directory, is_tied=is_tied)
    small_tokenizer.write(directory, template=small_tokenizer.CHATML)
    return Shelved(RERANK, directory, 0)


def chat_checkpoint(directory: Path, layers: int = checkpoints.LAYERS) -> Shelved:
    """A model that writes whole words, other ones after other prompts."""
    tokenizer = small_tokenizer.write(directory, template=small_tokenizer.CHATML)
    words = [number for number in range(tokenizer.get_vocab_size()) if tokenizer.decode([number]).strip(" ").isalpha()]
    told = [number for number in words if tokenizer.decode([number]).startswith(" ")]
    checkpoints.write(directory, is_tied=False, layers=layers, told=told)
    return Shelved(CHAT, directory, 0)


def compiled(tools: Tools, model: Shelved, output: Path, *lengths: Shape, dtype: str = "bf16", **wish: object) -> Path:
    """The directory of a bundle."""
    build(open_source(model), Wish(lengths or LENGTHS, dtype, **wish), Stages(tools), output)
    return output


def doubled(tools: Tools) -> dict[str, str]:
    """The environment in which ``sophon.sail`` is our double, over the simulator."""
    path = [str(DOUBLES), os.environ.get("PYTHONPATH", "")]
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, path)), VARIABLE: str(tools.root),
        "LD_PRELOAD": str(tools.libraries / GIVE_WAY),
    }  # fmt: skip


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
