"""How does a chat model in safetensors become a GGUF file, which OpenVINO GenAI loads without torch.

Names and layout are those of llama.cpp's files. In the architecture ``llama`` the rows of queries
and keys lie in another order than in safetensors: rotary pairs are neighbours instead of halves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from clients.errors import BadRequest

from .architectures import Architecture
from .checkpoint import Checkpoint
from .gguf import Q8_0_TYPE
from .gguf_tokenizer import settings_of
from .gguf_writer import BLOCK, F16_TYPE, F32_TYPE, Planned, Setting, parts, write

Dtype = Literal["int8", "fp16"]
FILE_TYPES = {"fp16": 1, "int8": 7}
ARCHITECTURES = {"qwen2": "qwen2", "qwen3": "qwen3", "llama": "llama", "mistral": "llama"}
TOP = {"embed_tokens.weight": "token_embd.weight", "norm.weight": "output_norm.weight"}
LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
HEAD = "lm_head.weight"
MAX_FP16 = 65504.0


def convert(directory: Path, weights: str, target: Path, dtype: Dtype = "int8") -> None:
    """Write the chat model in ``directory`` as a GGUF file.

    Args:
        directory: with config.json, tokenizer.json and the weights.
        weights: name of the safetensors file, or of the index of several.
        target: the file.
        dtype: of the matrices: ``int8`` is Q8_0, half the size and faster; ``fp16`` is closer to the original.

    Raises:
        BadRequest: the model has something that the reader of OpenVINO GenAI does not know; says what.
    """
    architecture = Architecture(directory)
    _check(directory, architecture)
    checkpoint = Checkpoint(directory / weights)
    num_rows = checkpoint.entry("embed_tokens.weight").shape[0]
    settings = _settings(architecture, dtype) | settings_of(directory, num_rows)
    write(target, settings, list(_tensors(checkpoint, architecture, dtype)))


def _check(directory: Path, architecture: Architecture) -> None:
    problem = ""
    if architecture.type not in ARCHITECTURES or not architecture.writes:
        problem = f"it is a {architecture.class_name or architecture.type}"
    elif architecture.rope.get("rope_type", architecture.rope.get("type", "default")) != "default":
        problem = "its rotary positions are scaled"
    elif architecture.config.get("hidden_act", "silu") != "silu":
        problem = f"its activation is {architecture.config['hidden_act']}"
    elif ARCHITECTURES[architecture.type] == "llama" and architecture.config.get("attention_bias") is True:
        problem = "its attention has biases"
    if problem:
        raise BadRequest(
            f"{directory} cannot be converted to GGUF: {problem}, and OpenVINO GenAI does not read that",
            help="serve it with backend: torch (pip install 'ragq[torch]'), or behind a server with backend: remote",
        )


def _settings(architecture: Architecture, dtype: Dtype) -> dict[str, Setting]:
    name = ARCHITECTURES[architecture.type]
    heads = architecture.number("num_attention_heads")
    epsilon, base = architecture.config.get("rms_norm_eps", 1e-6), architecture.rope.get("rope_theta", 10000.0)
    return {
        "general.architecture": name,
        "general.file_type": FILE_TYPES[dtype],
        "general.quantization_version": 2,
        f"{name}.block_count": architecture.number("num_hidden_layers"),
        f"{name}.context_length": architecture.context_tokens,
        f"{name}.embedding_length": architecture.number("hidden_size"),
        f"{name}.feed_forward_length": architecture.number("intermediate_size"),
        f"{name}.attention.head_count": heads,
        f"{name}.attention.head_count_kv": architecture.number("num_key_value_heads", heads),
        f"{name}.attention.key_length": architecture.head_width,
        f"{name}.attention.value_length": architecture.head_width,
        f"{name}.attention.layer_norm_rms_epsilon": _float(epsilon),
        f"{name}.rope.freq_base": _float(base),
        f"{name}.rope.dimension_count": architecture.head_width,
    }


def _float(value: object) -> float:
    if not isinstance(value, int | float):
        raise BadRequest(f"config.json: {value!r} is not a number")
    return float(value)


def _tensors(checkpoint: Checkpoint, architecture: Architecture, dtype: Dtype) -> Iterator[Planned]:
    for source, name in _names(checkpoint, architecture).items():
        entry = checkpoint.entry(source)
        if len(entry.shape) == 1:
            kind = F32_TYPE
        elif dtype == "int8" and entry.shape[-1] % BLOCK == 0:
            kind = Q8_0_TYPE
        else:
            kind = F16_TYPE
        yield Planned(name, entry.shape, kind, _values(checkpoint, source, architecture))


def _names(checkpoint: Checkpoint, architecture: Architecture) -> Mapping[str, str]:
    """Name in safetensors to name in GGUF, in the order of the file."""
    names = dict(TOP)
    if HEAD in checkpoint and architecture.config.get("tie_word_embeddings") is not True:
        names[HEAD] = "output.weight"
    for number in range(architecture.number("num_hidden_layers")):
        for source, short in LAYER.items():
            for part in ("weight", "bias"):
                name = f"layers.{number}.{source}.{part}"
                if name in checkpoint:
                    names[name] = f"blk.{number}.{short}.{part}"
    return names


def _values(checkpoint: Checkpoint, source: str, architecture: Architecture) -> Iterator[np.ndarray]:
    values = checkpoint.bits(source)
    is_turned = ARCHITECTURES[architecture.type] == "llama" and source.rsplit(".", 2)[1] in ("q_proj", "k_proj")
    if is_turned:
        values = _neighbours(values, architecture.head_width)
    for part in parts(values):
        widened = part.astype(np.uint32) << 16 if checkpoint.entry(source).dtype == "BF16" else part
        floats = widened.view(np.float32) if widened is not part else part
        if np.abs(floats).max(initial=0) > MAX_FP16:
            raise BadRequest(f"{checkpoint.path}: '{source}' has values beyond fp16, so it cannot be converted")
        yield floats


def _neighbours(values: np.ndarray, width: int) -> np.ndarray:
    """Rows of each head so that row i and row i + width/2 become neighbours."""
    halves = values.reshape(-1, 2, width // 2, *values.shape[1:])
    return halves.swapaxes(1, 2).reshape(values.shape)
