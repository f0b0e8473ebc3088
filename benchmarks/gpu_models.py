"""Models of real shape as checkpoints that need no network: their weights are drawn at random, the same each time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from services.models import Card, Shelved

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>", "[UNK]", "yes", "no")
NUM_WORDS = 5000


@dataclass(frozen=True)
class Shape:
    """Sizes of a model."""

    layers: int
    hidden: int
    inner: int
    heads: int
    vocabulary: int
    key_heads: int = 0
    width: int = 0
    positions: int = 8192


SEED = 0
QWEN3 = Shape(28, 1024, 3072, 16, 151_669, 8, 128, 32_768)
BGE_M3 = Shape(24, 1024, 4096, 16, 250_002)
TINY_QWEN3 = Shape(2, 64, 128, 4, 6000, 2, 16, 2048)
TINY_BGE_M3 = Shape(2, 64, 128, 4, 6000)


def decoder(directory: Path, shape: Shape, *, is_embedder: bool) -> Shelved:
    """A Qwen3 with tied word vectors: an embedding model, or one that writes and says yes or no."""
    torch.manual_seed(SEED)
    config = {
        "model_type": "qwen3", "num_hidden_layers": shape.layers, "hidden_size": shape.hidden,
        "intermediate_size": shape.inner, "num_attention_heads": shape.heads, "num_key_value_heads": shape.key_heads,
        "head_dim": shape.width, "vocab_size": shape.vocabulary, "max_position_embeddings": shape.positions,
        "rms_norm_eps": 1e-6, "rope_theta": 1e6, "tie_word_embeddings": True, "hidden_act": "silu",
        "architectures": ["Qwen3Model" if is_embedder else "Qwen3ForCausalLM"],
    }  # fmt: skip
    card = Card(
        "qwen3-shaped", "decoder", ("embed",) if is_embedder else ("generate", "rerank"), dimension=shape.hidden,
        max_tokens=shape.positions, pooling="last", head="" if is_embedder else "yes_no",
    )  # fmt: skip
    return _write(directory, config, card, dict(_decoder_tensors(shape)))


def encoder(directory: Path, shape: Shape) -> Shelved:
    """An XLM-R encoder with first-token pooling, such as BGE-M3."""
    torch.manual_seed(SEED)
    config = {
        "model_type": "xlm-roberta", "num_hidden_layers": shape.layers, "hidden_size": shape.hidden,
        "intermediate_size": shape.inner, "num_attention_heads": shape.heads, "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.positions + 2, "pad_token_id": 1, "layer_norm_eps": 1e-5,
        "hidden_act": "gelu", "architectures": ["XLMRobertaModel"],
    }  # fmt: skip
    card = Card(
        "bge-m3-shaped", "encoder", ("embed",), dimension=shape.hidden, max_tokens=shape.positions, pooling="cls"
    )
    return _write(directory, config, card, dict(_encoder_tensors(shape)))


def _write(directory: Path, config: dict[str, object], card: Card, tensors: dict[str, torch.Tensor]) -> Shelved:
    directory.mkdir(parents=True)
    (directory / "config.json").write_text(json.dumps(config))
    save_file(tensors, directory / "model.safetensors")
    _tokenizer().save(str(directory / "tokenizer.json"))
    card.write(directory)
    return Shelved(card, directory, (directory / "model.safetensors").stat().st_size)


def _tokenizer() -> Tokenizer:
    """A token for each word w0, w1 ...; texts end with ``<|endoftext|>``."""
    words = [*SPECIAL, *(f"w{number}" for number in range(NUM_WORDS))]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <|endoftext|>", pair="$A <|endoftext|> $B", special_tokens=[("<|endoftext|>", 0)]
    )
    return tokenizer


def _decoder_tensors(shape: Shape) -> Iterator[tuple[str, torch.Tensor]]:
    yield "model.embed_tokens.weight", _random(shape.vocabulary, shape.hidden)
    yield "model.norm.weight", _ones(shape.hidden)
    for number in range(shape.layers):
        at = f"model.layers.{number}."
        queries, keys = shape.heads * shape.width, shape.key_heads * shape.width
        yield at + "self_attn.q_proj.weight", _random(queries, shape.hidden)
        yield at + "self_attn.k_proj.weight", _random(keys, shape.hidden)
        yield at + "self_attn.v_proj.weight", _random(keys, shape.hidden)
        yield at + "self_attn.o_proj.weight", _random(shape.hidden, queries)
        yield at + "self_attn.q_norm.weight", _ones(shape.width)
        yield at + "self_attn.k_norm.weight", _ones(shape.width)
        yield at + "mlp.gate_proj.weight", _random(shape.inner, shape.hidden)
        yield at + "mlp.up_proj.weight", _random(shape.inner, shape.hidden)
        yield at + "mlp.down_proj.weight", _random(shape.hidden, shape.inner)
        yield at + "input_layernorm.weight", _ones(shape.hidden)
        yield at + "post_attention_layernorm.weight", _ones(shape.hidden)


def _encoder_tensors(shape: Shape) -> Iterator[tuple[str, torch.Tensor]]:
    yield "embeddings.word_embeddings.weight", _random(shape.vocabulary, shape.hidden)
    yield "embeddings.position_embeddings.weight", _random(shape.positions + 2, shape.hidden)
    yield "embeddings.token_type_embeddings.weight", _random(1, shape.hidden)
    yield from _norm("embeddings.LayerNorm", shape.hidden)
    for number in range(shape.layers):
        at = f"encoder.layer.{number}."
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            yield from _dense(at + "attention." + part, shape.hidden, shape.hidden)
        yield from _norm(at + "attention.output.LayerNorm", shape.hidden)
        yield from _dense(at + "intermediate.dense", shape.inner, shape.hidden)
        yield from _dense(at + "output.dense", shape.hidden, shape.inner)
        yield from _norm(at + "output.LayerNorm", shape.hidden)


def _dense(name: str, outputs: int, inputs: int) -> Iterator[tuple[str, torch.Tensor]]:
    yield name + ".weight", _random(outputs, inputs)
    yield name + ".bias", _random(outputs)


def _norm(name: str, width: int) -> Iterator[tuple[str, torch.Tensor]]:
    yield name + ".weight", _ones(width)
    yield name + ".bias", _random(width)


def _random(*sizes: int) -> torch.Tensor:
    """Made where it is quick; a step of 0.02 keeps sums in range."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return (torch.randn(*sizes, device=device) * 0.02).to(torch.bfloat16).cpu()


def _ones(size: int) -> torch.Tensor:
    return torch.ones(size, dtype=torch.bfloat16)
