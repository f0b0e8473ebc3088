"""What is to be compiled: a checkpoint, what it will be asked for, and what stays beside the bmodel."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from clients.errors import BadRequest, ConfigError
from services.llm.backends.causal import TYPES, Causal, read_causal
from services.llm.backends.pieces import Pieces
from services.llm.backends.prompts import QWEN3_TOKENS, frame_of
from services.llm.backends.yes_no import YesNoPrompt
from services.models import Card, Shelved
from services.models.bundle import BMODEL, Task
from services.models.checkpoint import Checkpoint
from services.models.files import SETTINGS, weight_files

ROLES: dict[Task, tuple[str, ...]] = {
    "embed": ("embed",), "rerank": ("rerank",), "next": ("generate",), "chat": ("generate",),
}  # fmt: skip
# They tell the next token, so their head is as wide as the vocabulary.
WRITING: tuple[Task, ...] = ("next", "chat")


@dataclass(frozen=True, slots=True)
class Source:
    """A checkpoint and its task.

    Attributes:
        answers: ids of no and yes for a reranker, every id where the next token is told.
        prompt: what stands before and behind a text.
    """

    path: Path
    card: Card
    causal: Causal
    checkpoint: Checkpoint
    task: Task
    answers: tuple[int, ...]
    prompt: tuple[str, str]

    @property
    def vocabulary(self) -> int:
        """Words that the model knows."""
        return self.checkpoint.entry("embed_tokens.weight").shape[0]

    @property
    def num_weights(self) -> int:
        """Numbers in all tensors; a head that is tied to the words lies there a second time."""
        stored = sum(entry.num_values for entry in self.checkpoint.entries.values())
        is_doubled = self.task in WRITING and not self.causal.has_own_head
        return stored + self.vocabulary * self.causal.hidden * is_doubled

    def sha256(self) -> str:
        """Of its weight files, in the order of their names."""
        digest = hashlib.sha256()
        for name in weight_files(self.path, self.card.weights):
            with (self.path / name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def settle(self, directory: Path, max_tokens: int, revision: str, bmodel: str = BMODEL) -> None:
        """Put the tokenizer, its settings and a card beside the bmodel."""
        for name in SETTINGS:
            if (self.path / name).is_file():
                shutil.copyfile(self.path / name, directory / name)
        card = replace(
            self.card, kind="bmodel", roles=ROLES[self.task], weights=bmodel, gguf="", revision=revision,
            name=directory.name.lower(), source=str(self.path), max_tokens=min(self.card.max_tokens, max_tokens),
        )  # fmt: skip
        card.write(directory)


def open_source(model: Shelved, task: str = "") -> Source:
    """What is to be compiled of a model.

    Args:
        model: from the shelf.
        task: embed, rerank, chat or next; empty: what the model is for.

    Raises:
        BadRequest: it is no decoder that is known, or its files are broken.
        ConfigError: it cannot do the task, or can do several.
    """
    card = model.card
    if card.kind != "decoder":
        raise BadRequest(
            f"'{card.name}' is no decoder in safetensors", help=f"what is compiled: {', '.join(TYPES)} checkpoints"
        )
    causal = read_causal(model.path)
    chosen = _task(card, task)
    checkpoint = Checkpoint(model.path / card.weights)
    answers, prompt = _asked(chosen, model.path, card, is_qwen3=causal.type == "qwen3")
    if chosen in WRITING:
        answers = tuple(range(checkpoint.entry("embed_tokens.weight").shape[0]))
    return Source(model.path, card, causal, checkpoint, chosen, answers, prompt)


def _task(card: Card, task: str) -> Task:
    able: dict[str, Task] = {}
    if "embed" in card.roles and card.pooling == "last":
        able["embed"] = "embed"
    if card.head == "yes_no":
        able["rerank"] = "rerank"
    if "generate" in card.roles:
        able["chat"] = "chat"
    if task in able:
        return able[task]
    if task == "next" and "chat" in able:
        return "next"
    if not task and len(able) == 1:
        return next(iter(able.values()))
    said = f"'{card.name}' cannot '{task}'" if task else f"'{card.name}' can be compiled for several tasks"
    raise ConfigError(said, help=f"--task {_either(able)}" if able else "take Qwen3-Embedding or Qwen3-Reranker")


def _asked(task: Task, directory: Path, card: Card, *, is_qwen3: bool) -> tuple[tuple[int, ...], tuple[str, str]]:
    if task == "embed":
        return (), (card.query_prefix.replace("{instruction}", card.instruction), "")
    if task in WRITING:
        return (), ("", "")
    prompt = YesNoPrompt(directory, card, is_qwen3=is_qwen3)
    frame = frame_of(directory, is_qwen3=is_qwen3 and Pieces(directory / "tokenizer.json").has(QWEN3_TOKENS))
    return (prompt.no, prompt.yes), (frame.prefix, frame.suffix)


def _either(words: Iterable[str]) -> str:
    return " or ".join(words)
