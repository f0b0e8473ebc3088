"""A tiny causal model with random weights, written like a published one, and its forward pass in plain numpy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

HIDDEN, INNER, HEADS, KV_HEADS, WIDTH, LAYERS = 32, 48, 4, 2, 16, 3
VOCABULARY, POSITIONS, EPSILON, THETA = 424, 256, 1e-6, 1e6


def write(
    directory: Path, model_type: str = "qwen3", *, prefix: str = "model.", seed: int = 0, **settings: object
) -> dict[str, np.ndarray]:
    """Write ``config.json`` and ``model.safetensors``; returns the tensors without the prefix."""
    directory.mkdir(parents=True, exist_ok=True)
    config = config_of(model_type) | settings
    (directory / "config.json").write_text(json.dumps(config))
    tensors = _tensors(np.random.default_rng(seed), model_type)
    if not config["tie_word_embeddings"]:
        head = np.random.default_rng(seed + 1).normal(0, 1, (VOCABULARY, HIDDEN)).astype(np.float32)
        tensors["lm_head.weight"] = head
    save_file(
        {name if name.startswith("lm_head") else prefix + name: value for name, value in tensors.items()},
        directory / "model.safetensors",
    )
    return tensors


def config_of(model_type: str) -> dict[str, Any]:
    """A ``config.json``."""
    return {
        "architectures": [f"{model_type.title()}ForCausalLM"], "model_type": model_type, "hidden_size": HIDDEN,
        "intermediate_size": INNER, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "head_dim": WIDTH,
        "num_hidden_layers": LAYERS, "max_position_embeddings": POSITIONS, "rms_norm_eps": EPSILON,
        "hidden_act": "silu", "rope_theta": THETA, "vocab_size": VOCABULARY, "tie_word_embeddings": True,
    }  # fmt: skip


def _tensors(rng: np.random.Generator, model_type: str) -> dict[str, np.ndarray]:
    def dense(outputs: int, inputs: int) -> np.ndarray:
        return rng.normal(0, 0.25, (outputs, inputs))

    found = {"embed_tokens.weight": rng.normal(0, 1, (VOCABULARY, HIDDEN)), "norm.weight": rng.normal(1, 0.1, HIDDEN)}
    for layer in range(LAYERS):
        name = f"layers.{layer}."
        for part, heads in (("q", HEADS), ("k", KV_HEADS), ("v", KV_HEADS)):
            found[f"{name}self_attn.{part}_proj.weight"] = dense(heads * WIDTH, HIDDEN)
            if model_type == "qwen2":
                found[f"{name}self_attn.{part}_proj.bias"] = rng.normal(0, 0.3, heads * WIDTH)
            if model_type == "qwen3" and part != "v":
                found[f"{name}self_attn.{part}_norm.weight"] = rng.normal(1, 0.2, WIDTH)
        found[name + "self_attn.o_proj.weight"] = dense(HIDDEN, HEADS * WIDTH)
        found[name + "mlp.gate_proj.weight"] = dense(INNER, HIDDEN)
        found[name + "mlp.up_proj.weight"] = dense(INNER, HIDDEN)
        found[name + "mlp.down_proj.weight"] = dense(HIDDEN, INNER)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            found[f"{name}{norm}.weight"] = rng.normal(1, 0.1, HIDDEN)
    return {name: value.astype(np.float32) for name, value in found.items()}


def forward(tensors: dict[str, np.ndarray], ids: list[int], rates: np.ndarray | None = None) -> np.ndarray:
    """Token vectors of one text behind the final norm, float64 [tokens, hidden].

    Args:
        rates: radians of a position, float64 [WIDTH / 2]; those of ``THETA`` unless given.
    """
    w = {name: value.astype(np.float64) for name, value in tensors.items()}
    rates = THETA ** (-np.arange(0, WIDTH, 2) / WIDTH) if rates is None else rates
    turn = np.exp(1j * np.outer(np.arange(len(ids)), rates))[:, None, :]
    future = np.triu(np.full((len(ids), len(ids)), -np.inf), 1)

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + EPSILON) * w[f"{name}.weight"]

    def heads(x: np.ndarray, name: str, part: str) -> np.ndarray:
        found = x @ w[f"{name}{part}_proj.weight"].T + w.get(f"{name}{part}_proj.bias", 0.0)
        found = found.reshape(len(ids), -1, WIDTH)
        return norm(found, f"{name}{part}_norm") if f"{name}{part}_norm.weight" in w else found

    def turned(x: np.ndarray) -> np.ndarray:
        pairs = (x[..., : WIDTH // 2] + 1j * x[..., WIDTH // 2 :]) * turn
        return np.concatenate([pairs.real, pairs.imag], axis=-1)

    x = w["embed_tokens.weight"][ids]
    for layer in range(LAYERS):
        name = f"layers.{layer}.self_attn."
        normal = norm(x, f"layers.{layer}.input_layernorm")
        query, key = turned(heads(normal, name, "q")), turned(heads(normal, name, "k"))
        key, value = (part.repeat(HEADS // KV_HEADS, axis=1) for part in (key, heads(normal, name, "v")))
        weights = np.einsum("qhd,khd->hqk", query, key) / np.sqrt(WIDTH) + future
        weights = np.exp(weights - weights.max(axis=-1, keepdims=True))
        mixed = np.einsum("hqk,khd->qhd", weights / weights.sum(axis=-1, keepdims=True), value)
        x = x + mixed.reshape(len(ids), -1) @ w[name + "o_proj.weight"].T
        name = f"layers.{layer}.mlp."
        normal = norm(x, f"layers.{layer}.post_attention_layernorm")
        gate = normal @ w[name + "gate_proj.weight"].T
        inner = gate / (1 + np.exp(-gate)) * (normal @ w[name + "up_proj.weight"].T)
        x = x + inner @ w[name + "down_proj.weight"].T
    return norm(x, "norm")
