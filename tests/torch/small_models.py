"""Tiny random models as transformers saves them, beside the tokenizer that their kind of model has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers

from services.models import Card, Shelved
from tests.unit.llm import small_encoder, small_tokenizer

VOCABULARY = 512
ENCODERS: dict[str, dict[str, Any]] = {
    "bert": {"hidden_act": "gelu"},
    "roberta": {"pad_token_id": 1, "type_vocab_size": 1, "hidden_act": "gelu_new"},
    "xlm-roberta": {"pad_token_id": 1, "type_vocab_size": 1},
    "camembert": {"pad_token_id": 1, "type_vocab_size": 1},
    "electra": {"embedding_size": 16},
    "mpnet": {"pad_token_id": 1},
    "distilbert": {},
}
DECODERS: dict[str, dict[str, Any]] = {
    "qwen3": {"head_dim": 16, "tie_word_embeddings": True},
    "qwen2": {"tie_word_embeddings": False},
    "llama": {
        "rope_parameters": {
            "rope_type": "llama3", "rope_theta": 10000.0, "factor": 4.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
        },
    },
}  # fmt: skip


def _encoder_config(kind: str) -> Any:
    if kind == "distilbert":
        return transformers.DistilBertConfig(
            vocab_size=len(small_encoder.WORDS), dim=32, n_heads=4, n_layers=2, hidden_dim=64,
            max_position_embeddings=48,
        )  # fmt: skip
    return transformers.CONFIG_MAPPING[kind](
        vocab_size=len(small_encoder.WORDS), hidden_size=32, num_attention_heads=4, num_hidden_layers=2,
        intermediate_size=64, max_position_embeddings=48, **ENCODERS[kind],
    )  # fmt: skip


def encoder(directory: Path, kind: str, pooling: str = "mean", *, is_scorer: bool = False) -> tuple[Shelved, Any]:
    """An encoder, or a cross-encoder, on the disk and in transformers."""
    torch.manual_seed(0)
    config = _encoder_config(kind)
    config.num_labels = 1
    auto = transformers.AutoModelForSequenceClassification if is_scorer else transformers.AutoModel
    model = _spread(auto.from_config(config))
    small_encoder.write(directory)
    model.save_pretrained(directory)
    card = Card(
        kind, "encoder", ("rerank" if is_scorer else "embed",), dimension=32, max_tokens=40,
        pooling=pooling, head="logit" if is_scorer else "",  # type: ignore[arg-type]
    )  # fmt: skip
    card.write(directory)
    return Shelved(card, directory, 0), model


def decoder(directory: Path, kind: str, *, is_embedder: bool = False, **settings: Any) -> tuple[Shelved, Any]:
    """A causal model on the disk and in transformers."""
    torch.manual_seed(0)
    config = transformers.CONFIG_MAPPING[kind](
        **{
            "vocab_size": VOCABULARY, "hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2,
            "num_hidden_layers": 2, "intermediate_size": 64, "max_position_embeddings": 1024,
            "bos_token_id": None, "eos_token_id": 2, "pad_token_id": 0, **DECODERS[kind], **settings,
        }
    )  # fmt: skip
    auto = transformers.AutoModel if is_embedder else transformers.AutoModelForCausalLM
    model = _spread(auto.from_config(config))
    small_tokenizer.write(directory, has_end=is_embedder, template=small_tokenizer.CHATML)
    model.save_pretrained(directory)
    card = Card(
        kind, "decoder", ("embed",) if is_embedder else ("generate", "rerank"), dimension=32, max_tokens=1024,
        pooling="last", head="" if is_embedder else "yes_no", query_prefix="Instruct: {instruction}\nQuery:",
        instruction="find it",
    )  # fmt: skip
    card.write(directory)
    return Shelved(card, directory, 0), model


def _spread(model: Any) -> Any:
    """Larger weights than a fresh model has, so that a wrong formula shows."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


def settings_of(directory: Path) -> dict[str, Any]:
    """``config.json``."""
    found: dict[str, Any] = json.loads((directory / "config.json").read_text())
    return found
