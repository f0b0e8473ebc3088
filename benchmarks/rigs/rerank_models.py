"""Rerankers of the real shapes with random weights, and texts of the usual lengths for them."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors

HIDDEN, INNER, HEADS, KV_HEADS, HEAD_WIDTH = 1024, 3072, 16, 8, 128
REAL_LAYERS, REAL_WORDS = 28, 151_669
NUM_WORDS = 2000
QUERY_WORDS = 12
# Words whose lognormal lengths have the median 93 of English passages; cut to 16..400.
MEDIAN_WORDS, SPREAD = 120, 0.6


def write_causal(directory: Path, layers: int) -> None:
    """Qwen3-Reranker-0.6B with so many of its 28 layers, and as large a share of its vocabulary, in fp32."""
    directory.mkdir()
    words = REAL_WORDS * layers // REAL_LAYERS
    shapes = {"model.embed_tokens.weight": (words, HIDDEN), "model.norm.weight": (HIDDEN,)}
    for layer in range(layers):
        shapes |= {f"model.layers.{layer}.{name}.weight": shape for name, shape in _layer().items()}
    _write(directory / "model.safetensors", shapes)
    config = {
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": HIDDEN, "intermediate_size": INNER,
        "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "head_dim": HEAD_WIDTH,
        "num_hidden_layers": layers, "max_position_embeddings": 40960, "rms_norm_eps": 1e-6, "hidden_act": "silu",
        "rope_theta": 1e6, "vocab_size": words, "tie_word_embeddings": True, "torch_dtype": "float32",
    }  # fmt: skip
    (directory / "config.json").write_text(json.dumps(config))
    _tokenizer(()).save(str(directory / "tokenizer.json"))


def _layer() -> dict[str, tuple[int, ...]]:
    return {
        "self_attn.q_proj": (HEADS * HEAD_WIDTH, HIDDEN), "self_attn.k_proj": (KV_HEADS * HEAD_WIDTH, HIDDEN),
        "self_attn.v_proj": (KV_HEADS * HEAD_WIDTH, HIDDEN), "self_attn.o_proj": (HIDDEN, HEADS * HEAD_WIDTH),
        "self_attn.q_norm": (HEAD_WIDTH,), "self_attn.k_norm": (HEAD_WIDTH,), "mlp.gate_proj": (INNER, HIDDEN),
        "mlp.up_proj": (INNER, HIDDEN), "mlp.down_proj": (HIDDEN, INNER), "input_layernorm": (HIDDEN,),
        "post_attention_layernorm": (HIDDEN,),
    }  # fmt: skip


def write_cross_encoder(directory: Path) -> None:
    """ms-marco-MiniLM-L6 with random weights."""
    directory.mkdir()
    hidden, inner = 384, 1536
    shapes: dict[str, tuple[int, ...]] = {
        "bert.embeddings.word_embeddings.weight": (30522, hidden),
        "bert.embeddings.position_embeddings.weight": (512, hidden),
        "bert.embeddings.token_type_embeddings.weight": (2, hidden),
    } | _pair("bert.embeddings.LayerNorm", (hidden,))
    for layer in range(6):
        name = f"bert.encoder.layer.{layer}."
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            shapes |= _pair(name + part, (hidden, hidden))
        shapes |= _pair(name + "attention.output.LayerNorm", (hidden,)) | _pair(name + "output.LayerNorm", (hidden,))
        shapes |= _pair(name + "intermediate.dense", (inner, hidden)) | _pair(name + "output.dense", (hidden, inner))
    shapes |= _pair("bert.pooler.dense", (hidden, hidden)) | _pair("classifier", (1, hidden))
    _write(directory / "model.safetensors", shapes)
    config = {
        "architectures": ["BertForSequenceClassification"], "model_type": "bert", "hidden_size": hidden,
        "intermediate_size": inner, "num_attention_heads": 12, "num_hidden_layers": 6, "hidden_act": "gelu",
        "max_position_embeddings": 512, "type_vocab_size": 2, "vocab_size": 30522, "layer_norm_eps": 1e-12,
        "pad_token_id": 0, "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0},
    }  # fmt: skip
    (directory / "config.json").write_text(json.dumps(config))
    tokenizer = _tokenizer(("[PAD]", "[CLS]", "[SEP]"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.save(str(directory / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 512, "pad_token": "[PAD]"}
    settings |= {"cls_token": "[CLS]", "sep_token": "[SEP]"}
    # Without it transformers gives the model no token types, as a BERT tokenizer would.
    settings["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))


def _pair(name: str, weight: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": weight, f"{name}.bias": weight[:1]}


def _tokenizer(first: tuple[str, ...]) -> Tokenizer:
    """A word is a token."""
    special = (*first, "<unk>", "<|im_start|>", "<|im_end|>", "<think>", "</think>", "\n")
    words = [*special, "yes", "no", *(f"w{number}" for number in range(NUM_WORDS))]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(" ", "removed"), pre_tokenizers.Punctuation()]
    )
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in special if token != "\n"])
    return tokenizer


def _write(path: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    header, end = {}, 0
    for name, shape in shapes.items():
        first, end = end, end + 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [first, end]}
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for shape in shapes.values():
            values = rng.standard_normal(shape, np.float32) * np.float32(0.02)
            file.write((values + 1 if len(shape) == 1 else values).tobytes())


def pairs(number: int, num_documents: int) -> list[tuple[str, str]]:
    """A query with its documents; another number gives others of the same lengths."""
    lengths = np.random.default_rng(7).lognormal(np.log(MEDIAN_WORDS), SPREAD, num_documents).clip(16, 400)
    words = np.random.default_rng(number + 100)

    def text(num_words: int) -> str:
        return " ".join(f"w{word}" for word in words.integers(0, NUM_WORDS, num_words))

    query = text(QUERY_WORDS)
    return [(query, text(int(length))) for length in lengths]
