"""A small Qwen3 in bfloat16 with random weights that are the same everywhere, as it is published."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

HIDDEN, INNER, HEADS, KV_HEADS, WIDTH, LAYERS = 128, 256, 4, 2, 64, 2
VOCABULARY = 424
CONFIG = {
    "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": HIDDEN, "intermediate_size": INNER,
    "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "head_dim": WIDTH, "num_hidden_layers": LAYERS,
    "max_position_embeddings": 4096, "rms_norm_eps": 1e-6, "hidden_act": "silu", "rope_theta": 1e6,
    "vocab_size": VOCABULARY,
}  # fmt: skip


def write(
    directory: Path, *, prefix: str = "model.", is_tied: bool = True, layers: int = LAYERS, told: Sequence[int] = ()
) -> dict[str, np.ndarray]:
    """Write ``config.json`` and ``model.safetensors``.

    Args:
        prefix: of the keys.
        layers: how many.
        told: the only rows of a head of its own that are not zeros; empty: all.

    Returns:
        The tensors without the prefix, as float32.
    """
    directory.mkdir(parents=True, exist_ok=True)
    config = CONFIG | {"tie_word_embeddings": is_tied, "num_hidden_layers": layers}
    (directory / "config.json").write_text(json.dumps(config))
    tensors = {name: as_bf16(values) for name, values in _tensors(layers, is_tied=is_tied).items()}
    if told:
        tensors["lm_head.weight"][np.setdiff1d(np.arange(VOCABULARY), told)] = 0
    save(
        {name if name.startswith("lm_head") else prefix + name: bits for name, bits in tensors.items()},
        directory / "model.safetensors",
    )
    return {name: (bits.astype(np.uint32) << 16).view(np.float32) for name, bits in tensors.items()}


def as_bf16(values: np.ndarray) -> np.ndarray:
    """The bits of the nearest bfloat16, as uint16."""
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def save(tensors: dict[str, np.ndarray], path: Path) -> None:
    """Write bfloat16 bits as safetensors, which numpy has no dtype for."""
    header, end = {}, 0
    for name, bits in tensors.items():
        header[name] = {"dtype": "BF16", "shape": list(bits.shape), "data_offsets": [end, end + bits.nbytes]}
        end += bits.nbytes
    packed = json.dumps(header).encode()
    packed += b" " * (-len(packed) % 8)
    path.write_bytes(struct.pack("<Q", len(packed)) + packed + b"".join(bits.tobytes() for bits in tensors.values()))


def _tensors(layers: int, *, is_tied: bool) -> dict[str, np.ndarray]:
    rng = np.random.RandomState(0)  # its numbers are the same in every version of numpy

    def dense(outputs: int, inputs: int) -> np.ndarray:
        return rng.normal(0, 0.08, (outputs, inputs))

    found = {"embed_tokens.weight": rng.normal(0, 0.2, (VOCABULARY, HIDDEN)), "norm.weight": rng.normal(1, 0.1, HIDDEN)}
    for layer in range(layers):
        name = f"layers.{layer}."
        for part, heads in (("q", HEADS), ("k", KV_HEADS), ("v", KV_HEADS)):
            found[f"{name}self_attn.{part}_proj.weight"] = dense(heads * WIDTH, HIDDEN)
            if part != "v":
                found[f"{name}self_attn.{part}_norm.weight"] = rng.normal(1, 0.2, WIDTH)
        found[name + "self_attn.o_proj.weight"] = dense(HIDDEN, HEADS * WIDTH)
        found[name + "mlp.gate_proj.weight"] = dense(INNER, HIDDEN)
        found[name + "mlp.up_proj.weight"] = dense(INNER, HIDDEN)
        found[name + "mlp.down_proj.weight"] = dense(HIDDEN, INNER)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            found[f"{name}{norm}.weight"] = rng.normal(1, 0.1, HIDDEN)
    return found if is_tied else found | {"lm_head.weight": rng.normal(0, 0.2, (VOCABULARY, HIDDEN))}
