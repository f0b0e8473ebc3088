"""What does a model on the shelf say about itself."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

CARD = "model.json"
Kind = Literal["encoder", "decoder", "gguf", "remote", "bmodel"]
Pooling = Literal["mean", "cls", "last"]
Head = Literal["", "logit", "yes_no"]


@dataclass(frozen=True, slots=True)
class Card:
    """The description beside a model's weights, kept as ``model.json``.

    Attributes:
        kind: ``encoder`` is a BERT or XLM-R checkpoint in safetensors, ``decoder`` a causal one such as Qwen3,
            ``gguf`` a chat model in that format, ``remote`` a model behind a server,
            ``bmodel`` one compiled for a SOPHON device.
        roles: what it can fill: embed, rerank, generate.
        weights: name of the weight file in the model's directory, or of the index of several.
        gguf: name of the GGUF file that a chat model in safetensors was converted to; empty without one.
        languages: ISO codes; ``multilingual`` when the list is only a selection.
        dimension: of the vectors; 0 for a chat model.
        max_tokens: longest input.
        min_dimension: vectors may be cut down to so many numbers and normalised again (Matryoshka); 0: never.
        pooling: how token vectors become one; ``last`` takes the vector of the end token.
        head: what makes a score of a pair: ``logit`` is a classifier with one output, ``yes_no`` the logits of
            the words yes and no as the next token.
        instruction: what queries are told to be unless the call says otherwise; ``{instruction}`` in
            ``query_prefix`` stands for it.
        query_prefix, document_prefix: what the model was trained to see in front of a text.
        similarity_floor: cosine that the model gives to unrelated texts.
        source: where the files came from.
        revision: the first 16 digits of the weights' sha256; vectors of two revisions do not mix.
    """

    name: str
    kind: Kind
    roles: tuple[str, ...] = ()
    licence: str = ""
    languages: tuple[str, ...] = ()
    dimension: int = 0
    max_tokens: int = 0
    min_dimension: int = 0
    pooling: Pooling = "mean"
    head: Head = ""
    instruction: str = ""
    query_prefix: str = ""
    document_prefix: str = ""
    similarity_floor: float = 0.0
    weights: str = "model.safetensors"
    gguf: str = ""
    source: str = ""
    revision: str = ""

    @property
    def chat_weights(self) -> str:
        """The file that an answer is written with."""
        return self.gguf or self.weights

    def write(self, directory: Path) -> None:
        """Put it beside the weights."""
        (directory / CARD).write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def renamed(card: Card, name: str) -> Card:
    """The same card under another name."""
    return replace(card, name=name)
