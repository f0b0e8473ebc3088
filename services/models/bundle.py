"""What is a compiled model made of: the description beside a ``.bmodel``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from clients.errors import BadRequest
from clients.reading import read

from .json_file import read_map

BUNDLE = "ragq.json"
BMODEL = "model.bmodel"
Task = Literal["embed", "rerank", "next", "chat"]


@dataclass(frozen=True, slots=True)
class Net:
    """One length that texts are read at.

    Attributes:
        steps: names of the graphs in the bmodel, one after the other; one, where the model is a single graph.
        batch: texts that go through together.
        tokens: of each text, padding included.
        latency_ms: of a pass, by the compiler's model of the chip; 0: not known.
        more: graphs that read one more token after up to ``tokens`` that are remembered; only for the task ``chat``.
        more_ms: of such a pass, as ``latency_ms``.
    """

    steps: tuple[str, ...]
    batch: int
    tokens: int
    latency_ms: float = 0.0
    more: tuple[str, ...] = ()
    more_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Bundle:
    """The file ``ragq.json`` beside a bmodel.

    Attributes:
        task: ``embed`` gives vectors, ``rerank`` the logits of no and yes, ``next`` those of the next token, and
            ``chat`` those too, with a memory of the tokens before.
        nets: the lengths, shortest first.
        hidden: numbers of a vector.
        dtype: bf16, f16, or w8 (8-bit weights, bf16 between).
        answers: ids of the rows of the head, in the order of the logits: no, yes; empty for other tasks.
        prompt: what stands before and behind a text, for people to read; it is made anew from the tokenizer's files.
        sha256: of the bmodel.
        weights_sha256: of the checkpoint's weight files, in the order of their names.
        tokenizer_sha256: of ``tokenizer.json``.
        tool: what compiled it.
        file: name of the bmodel.
        layout: ``ragq`` is what ``compile.convert`` makes; ``blocks`` is an older one, of graphs ``block_0`` and so on
            that take 16-bit vectors, beside an ``embedding`` graph or an ``embedding.bin``, and an ``lm_head``.
    """

    task: Task
    nets: tuple[Net, ...]
    hidden: int
    vocabulary: int
    chip: str
    dtype: str
    answers: tuple[int, ...] = ()
    prompt: tuple[str, str] = ("", "")
    sha256: str = ""
    weights_sha256: str = ""
    tokenizer_sha256: str = ""
    tool: str = ""
    file: str = BMODEL
    layout: Literal["ragq", "blocks"] = "ragq"

    @property
    def max_tokens(self) -> int:
        """Longest text."""
        return max(net.tokens for net in self.nets)

    def write(self, directory: Path) -> None:
        """Put it beside the bmodel."""
        (directory / BUNDLE).write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_bundle(directory: Path) -> Bundle:
    """The description in a directory.

    Raises:
        BadRequest: there is none, it is no such file, or it names no length.
    """
    bundle = read(Bundle, dict(read_map(directory / BUNDLE)), str(directory / BUNDLE))
    if not bundle.nets or not all(net.steps and net.batch > 0 and net.tokens > 0 for net in bundle.nets):
        raise BadRequest(f"{directory / BUNDLE} names no net, or one without steps, texts or tokens")
    if bundle.task == "chat" and not all(net.more and net.batch == 1 for net in bundle.nets):
        raise BadRequest(f"{directory / BUNDLE} names a net of a chat model that cannot go on", help="compile it again")
    if not (directory / bundle.file).is_file():
        raise BadRequest(f"{directory} lacks {bundle.file}", help="compile or copy it again")
    return bundle
