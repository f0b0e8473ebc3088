"""Small chat models: a real byte-level tokenizer, and weights of any kind."""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from services.models.gguf_tokenizer import PATTERNS

TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{{ '<|im_start|>assistant\n' }}"
)
TEXT = "What is 1234 + 5? Don't ask; it's 1239, they said.\n\n\tWe'll see 42 naïve cafés.  你好，世界 " * 4
NUM_ROWS = 512
LLAMA = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-6,
    "rope_theta": 20000.0,
}


def chat_tokenizer(directory: Path, splitting: str) -> Tokenizer:
    """Write tokenizer.json and tokenizer_config.json with a chat template."""
    tokenizer = Tokenizer(BPE())
    patterns = {name: pattern for pattern, name in PATTERNS.items()}
    if splitting in patterns:
        first = pre_tokenizers.Split(Regex(patterns[splitting]), "isolated")
    else:
        first = pre_tokenizers.Digits(individual_digits=True)
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=splitting not in patterns)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([first, last])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator([TEXT], BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False))
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens([AddedToken("<think>", special=False, normalized=False)])
    tokenizer.save(str(directory / "tokenizer.json"))
    stated = {"eos_token": "<|im_end|>", "pad_token": {"content": "<|im_end|>"}, "chat_template": TEMPLATE}
    (directory / "tokenizer_config.json").write_text(json.dumps(stated))
    return tokenizer
