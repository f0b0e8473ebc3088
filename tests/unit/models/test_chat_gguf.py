"""A chat model in safetensors becomes a GGUF file with the same numbers, or is refused with the reason."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from clients.errors import BadRequest
from services.models.chat_gguf import convert
from services.models.gguf import Q8_0, Header, read_header
from services.models.gguf_writer import quantised

from .chat_models import LLAMA, NUM_ROWS, TEMPLATE, chat_tokenizer


def llama_directory(tmp_path: Path, config: dict | None = None, splitting: str = "qwen2") -> Path:
    directory = tmp_path / "chat"
    directory.mkdir()
    chat_tokenizer(directory, splitting)
    (directory / "config.json").write_text(json.dumps(LLAMA | (config or {})))
    rng = np.random.default_rng(1)
    shapes = {
        "model.embed_tokens.weight": (NUM_ROWS, 64),
        "model.norm.weight": (64,),
        "lm_head.weight": (NUM_ROWS, 64),
        "model.layers.0.input_layernorm.weight": (64,),
        "model.layers.0.post_attention_layernorm.weight": (64,),
        "model.layers.0.self_attn.q_proj.weight": (64, 64),
        "model.layers.0.self_attn.k_proj.weight": (32, 64),
        "model.layers.0.self_attn.v_proj.weight": (32, 64),
        "model.layers.0.self_attn.o_proj.weight": (64, 64),
        "model.layers.0.mlp.gate_proj.weight": (96, 64),
        "model.layers.0.mlp.up_proj.weight": (96, 64),
        "model.layers.0.mlp.down_proj.weight": (64, 96),
    }
    tensors = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    save_file(tensors, directory / "model.safetensors")
    return directory


def stored(path: Path, header: Header, name: str) -> np.ndarray:
    """A tensor of the file as float32."""
    (tensor,) = [tensor for tensor in header.tensors if tensor.name == name]
    raw = path.read_bytes()[header.data_start + tensor.start : header.data_start + tensor.end]
    count = int(np.prod(tensor.shape))
    if tensor.type_name == "Q8_0":
        blocks = np.frombuffer(raw[: count // 32 * 34], Q8_0)
        values = blocks["values"] * blocks["scale"][:, None].astype(np.float32)
    else:
        dtype = {"F32": "<f4", "F16": "<f2"}[tensor.type_name]
        values = np.frombuffer(raw, dtype, count).astype(np.float32)
    return values.reshape(tensor.shape[::-1])


@pytest.mark.parametrize(("dtype", "kind", "error"), [("fp16", "F16", 2e-3), ("int8", "Q8_0", 2e-2)])
def test_every_tensor_and_setting_is_in_the_file(tmp_path, dtype, kind, error):
    directory = llama_directory(tmp_path)
    target = tmp_path / "m.gguf"
    convert(directory, "model.safetensors", target, dtype)
    header = read_header(target)
    assert len(header.tensors) == 12
    assert {t.type_name for t in header.tensors} == {kind, "F32"}
    assert header.unreadable == ()
    values = np.random.default_rng(1).standard_normal((NUM_ROWS, 64)).astype(np.float32)
    np.testing.assert_allclose(stored(target, header, "token_embd.weight"), values, atol=error)
    stated = {key: header.settings[f"llama.{key}"] for key in ("block_count", "context_length", "rope.freq_base")}
    assert stated == {"block_count": 1, "context_length": 256, "rope.freq_base": 20000.0}
    assert header.settings["tokenizer.chat_template"] == TEMPLATE
    assert header.settings["tokenizer.ggml.eos_token_id"] == header.settings["tokenizer.ggml.padding_token_id"] == 301
    assert header.cache_bytes == 2 * 2 * 16


def test_queries_of_llama_have_their_rotary_pairs_as_neighbours(tmp_path):
    directory = llama_directory(tmp_path)
    convert(directory, "model.safetensors", tmp_path / "m.gguf", "fp16")
    rng = np.random.default_rng(1)
    for shape in ((NUM_ROWS, 64), (64,), (NUM_ROWS, 64), (64,), (64,)):
        rng.standard_normal(shape)
    original = rng.standard_normal((64, 64)).astype(np.float32)
    written = stored(tmp_path / "m.gguf", read_header(tmp_path / "m.gguf"), "blk.0.attn_q.weight")
    np.testing.assert_allclose(written[[0, 1, 2, 16]], original[[0, 8, 1, 16]], atol=2e-3)


def test_blocks_are_quantised_to_the_bytes_that_the_format_has():
    """127 steps of the largest value, rounded to even; a block of zeros has no scale."""
    values = np.zeros((1, 64), np.float32)
    values[0, :4] = [127.0, -127.0, 0.5, 1.5]
    raw = quantised(values)
    assert raw[:6] == b"\x00\x3c\x7f\x81\x00\x02"  # a scale of 1.0 in fp16, then 127, -127, 0, 2
    assert raw[34:] == bytes(34)


def test_a_table_has_a_token_for_each_of_its_rows_and_the_added_ones_are_marked(tmp_path):
    from services.models.gguf_tokenizer import settings_of

    settings = settings_of(llama_directory(tmp_path), NUM_ROWS)
    tokens, kinds = settings["tokenizer.ggml.tokens"], settings["tokenizer.ggml.token_type"]
    assert len(tokens) == len(kinds) == NUM_ROWS
    assert (tokens[300], kinds[300], tokens[302], kinds[302]) == ("<|im_start|>", 3, "<think>", 4)
    assert (tokens[400], kinds[400], kinds[65]) == ("[PAD400]", 5, 1)
    assert all(" " in merge for merge in settings["tokenizer.ggml.merges"])


@pytest.mark.parametrize("splitting", ["qwen2", "smollm"])
def test_the_way_of_splitting_is_recognised(tmp_path, splitting):
    convert(llama_directory(tmp_path, splitting=splitting), "model.safetensors", tmp_path / "m.gguf")
    assert read_header(tmp_path / "m.gguf").settings["tokenizer.ggml.pre"] == splitting


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "scaled"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "scaled"),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"attention_bias": True}, "biases"),
        ({"architectures": ["LlamaModel"]}, "LlamaModel"),
    ],
)
def test_what_the_runtime_does_not_read_is_refused_with_another_way(tmp_path, config, reason):
    with pytest.raises(BadRequest, match=reason) as failure:
        convert(llama_directory(tmp_path, config), "model.safetensors", tmp_path / "m.gguf")
    assert "backend: torch" in failure.value.help


LLAMA3 = {
    "type": "Sequence",
    "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"}, "behavior": "Isolated"},
        {"type": "ByteLevel", "use_regex": False},
    ],
}


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("file", "values", "reason"),
    [
        ("tokenizer.json", {"model": {"type": "Unigram", "vocab": []}}, "no BPE"),
        ("tokenizer.json", {"pre_tokenizer": {"type": "Metaspace"}}, "splits text"),
        ("tokenizer.json", {"pre_tokenizer": LLAMA3}, "splits text"),
        ("tokenizer_config.json", {"chat_template": None}, "chat template"),
        ("tokenizer_config.json", {"eos_token": None}, "ends an answer"),
    ],
)
def test_a_tokenizer_that_cannot_be_told_is_refused(tmp_path, file, values, reason):
    directory = llama_directory(tmp_path)
    change(directory / file, **values)
    with pytest.raises(BadRequest, match=reason):
        convert(directory, "model.safetensors", tmp_path / "m.gguf")


def test_values_beyond_fp16_are_refused(tmp_path):
    directory = llama_directory(tmp_path)
    from safetensors.numpy import load_file

    tensors = load_file(directory / "model.safetensors")
    tensors["lm_head.weight"][3, 3] = 1e6
    save_file(tensors, directory / "model.safetensors")
    with pytest.raises(BadRequest, match="beyond fp16"):
        convert(directory, "model.safetensors", tmp_path / "m.gguf")
