"""A converted chat model writes token for token what transformers writes with the same weights."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from services.models.chat_gguf import convert
from services.models.gguf import Q8_0
from services.models.gguf_writer import quantised

from .chat_models import NUM_ROWS, TEXT, chat_tokenizer

torch = pytest.importorskip("torch", reason="pip install 'ragq[torch]'")
transformers = pytest.importorskip("transformers", reason="pip install 'ragq[torch]'")
pytestmark = pytest.mark.torch

BASE = {
    "vocab_size": NUM_ROWS, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 1024, "eos_token_id": 301,
    "bos_token_id": None, "pad_token_id": None, "tie_word_embeddings": False,
}  # fmt: skip
KINDS = {
    "qwen3": ("Qwen3Config", "qwen2", {"head_dim": 32}),
    "qwen3-tied": ("Qwen3Config", "qwen2", {"head_dim": 32, "tie_word_embeddings": True}),
    "qwen2": ("Qwen2Config", "qwen2", {}),
    "llama": ("LlamaConfig", "qwen2", {}),
    "smollm": ("LlamaConfig", "smollm", {}),
    "mistral": ("MistralConfig", "qwen2", {"sliding_window": None}),
}
NEW_TOKENS = 24


def lively(model) -> None:
    """Weights large enough that the next word depends on all that came before."""
    torch.manual_seed(3)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 2:
                weight.mul_(30.0 if "embed" in name else 8.0)
            elif "bias" in name:
                weight.normal_(0, 0.3)
            else:
                weight.uniform_(0.5, 1.5)


def rounded(model) -> None:
    """Give the weights the values that Q8_0 holds."""
    with torch.no_grad():
        for weight in {id(p): p for p in model.parameters() if p.ndim == 2}.values():
            blocks = np.frombuffer(quantised(weight.numpy()), Q8_0)
            values = blocks["values"] * blocks["scale"][:, None].astype(np.float32)
            weight.copy_(torch.from_numpy(values.reshape(weight.shape)))


def written_by_openvino(path, ids):
    import openvino
    import openvino_genai

    exact = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
    pipeline = openvino_genai.ContinuousBatchingPipeline(str(path), openvino_genai.SchedulerConfig(), "CPU", exact)
    tokenizer = pipeline.get_tokenizer()
    settings = openvino_genai.GenerationConfig(max_new_tokens=NEW_TOKENS, ignore_eos=True)
    handle = pipeline.add_request(0, openvino.Tensor(np.array([ids])), settings)
    while pipeline.has_non_finished_requests():
        pipeline.step()
    read = tokenizer.encode(TEXT).input_ids.data[0].tolist()
    chat = tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], add_generation_prompt=True)
    return handle.read_all()[0].generated_ids, read, tokenizer.get_eos_token_id(), chat


@pytest.mark.parametrize("dtype", ["fp16", "int8"])
@pytest.mark.parametrize("kind", KINDS)
def test_greedy_answers_are_those_of_transformers(tmp_path, kind, dtype):
    config, splitting, settings = KINDS[kind]
    tokenizer = chat_tokenizer(tmp_path, splitting)
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(getattr(transformers, config)(**(BASE | settings))).eval()
    lively(model)
    model.half().float() if dtype == "fp16" else rounded(model)
    model.save_pretrained(tmp_path)
    ids = tokenizer.encode(f"<|im_start|>user\n{TEXT}<|im_end|>\n").ids[:120]
    with torch.no_grad():
        expected = model.generate(
            torch.tensor([ids]), max_new_tokens=NEW_TOKENS, do_sample=False, eos_token_id=[9999], pad_token_id=0
        )[0, len(ids) :].tolist()
    convert(tmp_path, "model.safetensors", tmp_path / "m.gguf", dtype)
    answer, read, end, chat = written_by_openvino(tmp_path / "m.gguf", ids)
    assert list(answer) == expected
    assert len(set(expected)) > 3
    assert read == tokenizer.encode(TEXT).ids
    assert end == 301
    assert chat == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    gc.collect()
