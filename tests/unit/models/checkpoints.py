"""Small checkpoints in the layouts that hubs keep them in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

BERT = {"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 8, "max_position_embeddings": 64}
QWEN3 = {
    "model_type": "qwen3",
    "architectures": ["Qwen3ForCausalLM"],
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "intermediate_size": 96,
    "max_position_embeddings": 32768,
}
TOKENIZER = {"model": {"vocab": {"yes": 7, "no": 3}}}


def checkpoint_directory(
    path: Path,
    config: Mapping[str, object],
    settings: Mapping[str, object] | None = None,
    tensors: Mapping[str, np.ndarray] | None = None,
) -> Path:
    """A directory with config.json, tokenizer.json, model.safetensors and further JSON files by their names."""
    path.mkdir(parents=True)
    files = {"config.json": config, "tokenizer.json": TOKENIZER} | dict(settings or {})
    for name, value in files.items():
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text(json.dumps(value))
    save_file(dict(tensors or {"a": np.ones(4, np.float32)}), path / "model.safetensors")
    return path


def shard(path: Path, *groups: Mapping[str, np.ndarray]) -> Path:
    """Write tensors in one file per group with the index of a hub beside them; gives the index."""
    places = {}
    for number, group in enumerate(groups, start=1):
        name = f"model-{number:05}-of-{len(groups):05}.safetensors"
        save_file(dict(group), path / name)
        places |= dict.fromkeys(group, name)
    index = path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return index
