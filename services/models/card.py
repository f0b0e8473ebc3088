"""What does a model on the shelf say about itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from clients.errors import BadRequest
from clients.reading import read

from .gguf import check_readable, read_header

CARD = "model.json"
Kind = Literal["encoder", "decoder", "gguf", "remote"]
Pooling = Literal["mean", "cls", "last"]
Head = Literal["", "logit", "yes_no"]


@dataclass(frozen=True, slots=True)
class Card:
    """The description beside a model's weights, kept as ``model.json``.

    Attributes:
        kind: ``encoder`` is a BERT or XLM-R checkpoint in safetensors, ``decoder`` a causal one such as Qwen3,
            ``gguf`` a chat model in that format, ``remote`` a model behind a server.
        roles: what it can fill: embed, rerank, generate.
        weights: name of the weight file in the model's directory.
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
    source: str = ""
    revision: str = ""

    def write(self, directory: Path) -> None:
        """Put it beside the weights."""
        (directory / CARD).write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_card(directory: Path) -> Card:
    """The card in a model's directory, or one made from the files of a plain checkpoint.

    Raises:
        BadRequest: the directory holds no model that we can read; says what is missing.
    """
    if (directory / CARD).is_file():
        return read(Card, _json(directory / CARD), str(directory / CARD))
    return describe(directory)


def describe(path: Path) -> Card:
    """A card for a GGUF file, or for a directory in the layout of sentence-transformers.

    Raises:
        BadRequest: neither of the two; says what is missing.
    """
    if path.is_file():
        return _describe_gguf(path)
    missing = [name for name in ("config.json", "model.safetensors", "tokenizer.json") if not (path / name).is_file()]
    if missing:
        raise BadRequest(
            f"{path} is not a model: {', '.join(missing)} missing",
            help="give a .gguf file, or a directory with config.json, model.safetensors and tokenizer.json",
        )
    config = _json(path / "config.json")
    if config.get("model_type") not in ("bert", "xlm-roberta"):
        raise BadRequest(f"{path} holds a '{config.get('model_type')}' model; BERT and XLM-R encoders can be loaded")
    query_prefix, document_prefix = _prefixes(path)
    return Card(
        path.name.lower(), "encoder", ("embed", "rerank"), dimension=_int(config, "hidden_size"),
        max_tokens=_max_tokens(path, config), pooling=_pooling(path),
        query_prefix=query_prefix, document_prefix=document_prefix,
    )  # fmt: skip


def _describe_gguf(path: Path) -> Card:
    header = read_header(path)
    check_readable(path, header)
    return Card(
        path.stem.lower(), "gguf", ("generate",), licence=header.licence, max_tokens=header.context_tokens,
        weights=path.name,
    )  # fmt: skip


def _max_tokens(path: Path, config: Mapping[str, object]) -> int:
    offset = 2 if config.get("model_type") == "xlm-roberta" else 0
    positions = _int(config, "max_position_embeddings") - offset
    limits = path / "sentence_bert_config.json"
    stated = _json(limits).get("max_seq_length") if limits.is_file() else None
    return min(stated, positions) if isinstance(stated, int) else positions


def _pooling(path: Path) -> Pooling:
    settings = path / "1_Pooling" / "config.json"
    return "cls" if settings.is_file() and _json(settings).get("pooling_mode_cls_token") is True else "mean"


def _prefixes(path: Path) -> tuple[str, str]:
    settings = path / "config_sentence_transformers.json"
    prompts = _json(settings).get("prompts") if settings.is_file() else None
    if not isinstance(prompts, Mapping):
        return "", ""
    return str(prompts.get("query", "")), str(prompts.get("document", prompts.get("passage", "")))


def _int(config: Mapping[str, object], key: str) -> int:
    value = config.get(key)
    if not isinstance(value, int):
        raise BadRequest(f"config.json: '{key}' is not a number")
    return value


def _json(path: Path) -> Mapping[str, object]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadRequest(f"{path} is not readable JSON: {error}") from error
    if not isinstance(value, Mapping):
        raise BadRequest(f"{path} should hold a map")
    return value


def renamed(card: Card, name: str) -> Card:
    """The same card under another name."""
    return replace(card, name=name)
