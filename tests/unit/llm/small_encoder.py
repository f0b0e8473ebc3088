"""A tiny encoder with random weights, written like a published one, and its forward pass in plain numpy."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *[f"w{i}" for i in range(28)]]
HIDDEN, INNER, HEADS, LAYERS, POSITIONS = 16, 32, 2, 2, 24
EPSILON = 1e-5


def write(
    directory: Path, *, model_type: str = "bert", activation: str = "gelu", pooling: str = "mean", seed: int = 0
) -> dict[str, np.ndarray]:
    """Write the checkpoint; returns its tensors."""
    directory.mkdir(parents=True, exist_ok=True)
    tensors = _tensors(np.random.default_rng(seed))
    save_file(tensors, directory / "model.safetensors")
    config = {
        "model_type": model_type, "hidden_size": HIDDEN, "intermediate_size": INNER, "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS, "max_position_embeddings": POSITIONS, "layer_norm_eps": EPSILON,
        "hidden_act": activation, "pad_token_id": 1 if model_type == "xlm-roberta" else 0, "vocab_size": len(WORDS),
    }  # fmt: skip
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "1_Pooling").mkdir(exist_ok=True)
    (directory / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": pooling == "cls"}))
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    pair = "[CLS] $A [SEP] [SEP] $B [SEP]" if model_type == "xlm-roberta" else "[CLS] $A [SEP] $B:1 [SEP]:1"
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair=pair, special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(directory / "tokenizer.json"))
    return tensors


def write_reranker(directory: Path, *, model_type: str = "bert", outputs: int = 1) -> dict[str, np.ndarray]:
    """Write a cross-encoder; returns its tensors, with the names of the body."""
    body, rng = write(directory, model_type=model_type), np.random.default_rng(1)
    dense, out = ("pooler.dense", "classifier") if model_type == "bert" else ("classifier.dense", "classifier.out_proj")
    head = {f"{dense}.weight": (HIDDEN, HIDDEN), f"{dense}.bias": (HIDDEN,), f"{out}.weight": (outputs, HIDDEN)}
    sizes = head | {f"{out}.bias": (outputs,)}
    tensors = body | {name: rng.normal(0, 0.5, size).astype(np.float32) for name, size in sizes.items()}
    word = "bert." if model_type == "bert" else "roberta."
    named = {name if name.startswith("classifier") else word + name: value for name, value in tensors.items()}
    save_file(named, directory / "model.safetensors")
    config = json.loads((directory / "config.json").read_text())
    labels = {str(number): f"LABEL_{number}" for number in range(outputs)}
    config |= {"architectures": ["SmallForSequenceClassification"], "id2label": labels}
    (directory / "config.json").write_text(json.dumps(config))
    shutil.rmtree(directory / "1_Pooling")
    return tensors


def logit(tensors: dict[str, np.ndarray], ids: list[int], *, second: int = 0, offset: int = 0) -> float:
    """Score of a pair whose second part begins at ``second``."""
    first = forward(tensors, ids, second=second, offset=offset)[0]
    dense, out = ("pooler.dense", "classifier")
    if dense + ".bias" not in tensors:
        dense, out = ("classifier.dense", "classifier.out_proj")
    inner = np.tanh(tensors[f"{dense}.weight"] @ first + tensors[f"{dense}.bias"])
    return float((tensors[f"{out}.weight"] @ inner + tensors[f"{out}.bias"])[0])


def _tensors(rng: np.random.Generator) -> dict[str, np.ndarray]:
    def dense(name: str, outputs: int, inputs: int) -> dict[str, np.ndarray]:
        return {f"{name}.weight": rng.normal(0, 0.3, (outputs, inputs)), f"{name}.bias": rng.normal(0, 0.1, outputs)}

    def norm(name: str) -> dict[str, np.ndarray]:
        return {f"{name}.weight": rng.normal(1, 0.1, HIDDEN), f"{name}.bias": rng.normal(0, 0.1, HIDDEN)}

    found = {
        "embeddings.word_embeddings.weight": rng.normal(0, 1, (len(WORDS), HIDDEN)),
        "embeddings.position_embeddings.weight": rng.normal(0, 1, (POSITIONS, HIDDEN)),
        "embeddings.token_type_embeddings.weight": rng.normal(0, 1, (2, HIDDEN)),
    } | norm("embeddings.LayerNorm")
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}."
        for part in ("query", "key", "value"):
            found |= dense(f"{name}attention.self.{part}", HIDDEN, HIDDEN)
        found |= dense(name + "attention.output.dense", HIDDEN, HIDDEN) | norm(name + "attention.output.LayerNorm")
        found |= dense(name + "intermediate.dense", INNER, HIDDEN)
        found |= dense(name + "output.dense", HIDDEN, INNER) | norm(name + "output.LayerNorm")
    return {name: value.astype(np.float32) for name, value in found.items()}


def forward(
    tensors: dict[str, np.ndarray], ids: list[int], *, second: int = 0, offset: int = 0, activation: str = "gelu"
) -> np.ndarray:
    """Token vectors of one text, float64 [tokens, hidden], not normalised."""
    w: dict[str, Any] = {name: value.astype(np.float64) for name, value in tensors.items()}

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(axis=-1, keepdims=True)
        return centred / np.sqrt(x.var(axis=-1, keepdims=True) + EPSILON) * w[f"{name}.weight"] + w[f"{name}.bias"]

    def dense(x: np.ndarray, name: str) -> np.ndarray:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    places = w["embeddings.position_embeddings.weight"][offset : offset + len(ids)]
    types = [int(0 < second <= place) for place in range(len(ids))]
    x = w["embeddings.word_embeddings.weight"][ids] + places + w["embeddings.token_type_embeddings.weight"][types]
    x = norm(x, "embeddings.LayerNorm")
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}."
        parts = [dense(x, f"{name}attention.self.{part}") for part in ("query", "key", "value")]
        query, key, value = (part.reshape(len(ids), HEADS, -1).transpose(1, 0, 2) for part in parts)
        weights = np.exp(query @ key.transpose(0, 2, 1) / math.sqrt(HIDDEN // HEADS))
        mixed = (weights / weights.sum(axis=-1, keepdims=True) @ value).transpose(1, 0, 2).reshape(len(ids), HIDDEN)
        x = norm(x + dense(mixed, name + "attention.output.dense"), name + "attention.output.LayerNorm")
        inner = _activate(dense(x, name + "intermediate.dense"), activation)
        x = norm(x + dense(inner, name + "output.dense"), name + "output.LayerNorm")
    return np.asarray(x)


def _activate(x: np.ndarray, activation: str) -> np.ndarray:
    if activation == "relu":
        return np.maximum(x, 0)
    if activation == "gelu_new":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def unit(x: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    return np.asarray(x / np.linalg.norm(x, axis=-1, keepdims=True))
