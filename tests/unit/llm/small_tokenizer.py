"""A small byte-level BPE tokenizer, trained on the spot, with the special tokens and the splitting of Qwen3."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
THOUGHTS = ("<think>", "</think>")
END = 0
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEXT = [
    "Judge whether the Document meets the requirements based on the Query and the Instruct provided.",
    'Note that the answer can only be "yes" or "no". yes yes yes no no no system user assistant',
    "<Instruct>: Given a web search query, retrieve relevant passages that answer the query",
    "<Query>: where\n<Document>: x",
    "The cat sits on the mat. Interest rates rose sharply in the last quarter. Where does the cat sit?",
]
# The template of Qwen3 as far as it concerns a system and a user turn.
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}"
    "{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}"
    "{% endif %}"
)


@cache
def _trained(*, has_split: bool) -> str:
    tokenizer = Tokenizer(models.BPE())
    in_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    split = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(SPLIT), "isolated"), in_bytes])
    tokenizer.pre_tokenizer = split if has_split else in_bytes
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=list(SPECIAL), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(TEXT * 4, trainer)
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in THOUGHTS])
    return str(tokenizer.to_str())


def write(directory: Path, *, has_end: bool = False, template: str = "", has_split: bool = True) -> Tokenizer:
    """Write ``tokenizer.json`` and ``tokenizer_config.json``.

    Args:
        has_end: texts end with ``<|endoftext|>``, as those of Qwen3-Embedding do.
        template: the chat template.
        has_split: words are separated before they are merged; without it, tokens may reach across words.
    """
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.from_str(_trained(has_split=has_split))
    if has_end:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="$A <|endoftext|>", special_tokens=[("<|endoftext|>", END)]
        )
    tokenizer.save(str(directory / "tokenizer.json"))
    settings = {"chat_template": template, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    return tokenizer
