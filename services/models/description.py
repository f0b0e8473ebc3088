"""Which card does a model get that brings none: from its own configuration, never by its name alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from clients.errors import BadRequest
from clients.reading import read

from . import sentence_layout
from .architectures import Architecture
from .card import CARD, Card
from .checkpoint import Checkpoint
from .files import INDEX, PICKLED, WEIGHTS
from .gguf import check_readable, read_header
from .json_file import read_map

# The reference code of Qwen3-Reranker cuts what it reads to this length.
RERANK_TOKENS = 8192
RERANK_INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
# What the Qwen3-Embedding family was trained to be cut down to, by its model page.
INSTRUCTED_MIN_DIMENSION = 32


def read_card(directory: Path) -> Card:
    """The card in a model's directory, or one made from the files of a plain checkpoint.

    Raises:
        BadRequest: the directory holds no model that we can read; says what is missing.
    """
    if (directory / CARD).is_file():
        return read(Card, dict(read_map(directory / CARD)), str(directory / CARD))
    return describe(directory)


def describe(path: Path, *, converts: bool = False) -> Card:
    """A card for a GGUF file, or for a directory with a checkpoint.

    Args:
        path: the file or the directory.
        converts: weights that must be converted first count as there.

    Raises:
        BadRequest: neither of the two, an architecture that cannot be loaded, or broken files; says what to do.
    """
    if path.is_file():
        return _of_gguf(path)
    weights = _weights(path, converts=converts)
    architecture = Architecture(path)
    if (path / weights).exists():
        Checkpoint(path / weights)
    card = Card(path.name.lower(), "decoder" if architecture.is_decoder else "encoder", weights=weights)
    positions = architecture.max_positions
    card = replace(card, max_tokens=min(sentence_layout.stated_tokens(path) or positions, positions))
    if architecture.is_classifier:
        return _cross_encoder(card, path, architecture)
    pooling = sentence_layout.pooling(path)
    if architecture.is_decoder and pooling is None:
        return _writer(card, path, architecture)
    prompts = sentence_layout.prompts(path)
    return replace(
        card, roles=("embed",), dimension=architecture.number("hidden_size"), pooling=pooling or "mean",
        query_prefix=prompts.query, document_prefix=prompts.document, instruction=prompts.instruction,
        min_dimension=INSTRUCTED_MIN_DIMENSION if architecture.type == "qwen3" and prompts.instruction else 0,
    )  # fmt: skip


def _of_gguf(path: Path) -> Card:
    header = read_header(path)
    check_readable(path, header)
    return Card(
        path.stem.lower(), "gguf", ("generate",), licence=header.licence, max_tokens=header.context_tokens,
        weights=path.name,
    )  # fmt: skip


def _cross_encoder(card: Card, path: Path, architecture: Architecture) -> Card:
    if architecture.num_labels != 1:
        raise BadRequest(
            f"{path} sorts texts into {architecture.num_labels} classes; a reranker has one output",
            help="take a cross-encoder such as BAAI/bge-reranker-v2-m3 or cross-encoder/ms-marco-MiniLM-L6-v2",
        )
    return replace(card, roles=("rerank",), head="logit")


def _writer(card: Card, path: Path, architecture: Architecture) -> Card:
    """A causal model without pooling: one that scores by yes and no, or one that chats and can do that too."""
    if not architecture.writes:
        raise BadRequest(
            f"{path} is a '{architecture.class_name or architecture.type}' without pooling settings",
            help="an embedding model needs 1_Pooling/config.json beside it, as sentence-transformers saves it",
        )
    _check_answers(path)
    scorer = replace(card, head="yes_no", instruction=RERANK_INSTRUCTION)
    if sentence_layout.answer_tokens(path) or "rerank" in path.name.lower() or "rerank" in _origin(architecture):
        return replace(scorer, roles=("rerank",), max_tokens=min(card.max_tokens, RERANK_TOKENS))
    return replace(scorer, roles=("generate", "rerank"))


def _origin(architecture: Architecture) -> str:
    return str(architecture.config.get("_name_or_path", "")).lower()


def _check_answers(path: Path) -> None:
    """BadRequest for a score by other words than yes and no."""
    stated = sentence_layout.answer_tokens(path)
    if stated is None:
        return
    model = read_map(path / "tokenizer.json").get("model")
    words = model.get("vocab") if isinstance(model, Mapping) else None
    ours = (words.get("yes"), words.get("no")) if isinstance(words, Mapping) else (None, None)
    if stated != ours:
        raise BadRequest(f"{path} scores by the tokens {stated}, not by the words yes and no, and that is not served")


def _weights(path: Path, *, converts: bool) -> str:
    """Name of the weight file, or of the index of several."""
    missing = [name for name in ("config.json", "tokenizer.json") if not (path / name).is_file()]
    found = next((name for name in (WEIGHTS, INDEX) if (path / name).is_file()), "")
    pickled = [name for name in PICKLED if (path / name).is_file()]
    if pickled and not found and not missing:
        if converts:
            return WEIGHTS
        raise BadRequest(
            f"{path} has its weights only in {pickled[0]}, which is never loaded as it is",
            help=f"ragq models add {path} converts it once to safetensors",
        )
    missing += [] if found else [WEIGHTS]
    if missing:
        raise BadRequest(f"{path} is not a model: {', '.join(missing)} missing", help=_how(path, missing))
    return found


def _how(path: Path, missing: list[str]) -> str:
    if missing == ["tokenizer.json"]:
        return (
            "the tokenizers library writes one: with transformers installed, "
            f"AutoTokenizer.from_pretrained('{path}').save_pretrained('{path}')"
        )
    return f"give a .gguf file, or a directory with config.json, {WEIGHTS} and tokenizer.json"
