"""Which GGUF settings describe a ``tokenizer.json``.

The reader of OpenVINO GenAI knows byte-level BPE with one of two ways to split text; others are
refused here, because it would split by a rule of its own and the model would read nonsense.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from clients.errors import BadRequest

from .gguf_writer import Setting
from .json_file import read_map, read_map_if_there

NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
# The pattern of Qwen2 and Qwen3; the reader of 2026.4 has no other with a pattern. Llama 3's, of up
# to three digits, it splits by a rule for something else: tried, the ids differ.
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PATTERNS = {QWEN2: "qwen2"}
SPECIAL = {"bos": "bos_token", "eos": "eos_token", "padding": "pad_token", "unknown": "unk_token"}


def settings_of(directory: Path, num_rows: int) -> dict[str, Setting]:
    """The settings, with unused tokens up to ``num_rows``, the rows of the model's table.

    Raises:
        BadRequest: the tokenizer is of another kind; says which can be converted.
    """
    path = directory / "tokenizer.json"
    spec = read_map(path)
    model = spec.get("model")
    if not isinstance(model, Mapping) or model.get("type") != "BPE" or not isinstance(model.get("vocab"), Mapping):
        raise BadRequest(f"{path} is no BPE tokenizer", help=_HELP)
    added = _added(spec)
    ids = {str(token): int(number) for token, number in model["vocab"].items()} | {t: i for t, (i, _) in added.items()}
    words = {number: token for token, number in ids.items()}
    if max(words) >= num_rows:
        raise BadRequest(f"{path} has {max(words) + 1} tokens and the model a table of {num_rows}")
    kinds = dict(added.values())
    stated = read_map_if_there(directory / "tokenizer_config.json")
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": _splitting(path, spec.get("pre_tokenizer")),
        "tokenizer.ggml.tokens": [words.get(number, f"[PAD{number}]") for number in range(num_rows)],
        "tokenizer.ggml.token_type": [
            kinds.get(number, NORMAL if number in words else UNUSED) for number in range(num_rows)
        ],
        "tokenizer.ggml.merges": _merges(model.get("merges")),
        "tokenizer.ggml.add_bos_token": stated.get("add_bos_token") is True,
        **_special(directory, stated, ids),
        "tokenizer.chat_template": _template(directory, stated),
    }


_HELP = "chat models with the tokenizers of Qwen2, Qwen3 and SmolLM2 can be converted; backend: torch takes others"


def _added(spec: Mapping[str, object]) -> dict[str, tuple[int, int]]:
    """Token to id and kind, of those beside the vocabulary."""
    tokens = spec.get("added_tokens")
    return {
        str(token["content"]): (int(token["id"]), CONTROL if token.get("special") else USER_DEFINED)
        for token in (tokens if isinstance(tokens, list) else [])
    }


def _splitting(path: Path, rule: object) -> str:
    """GGUF's name of the way that text is split before BPE."""
    steps = rule.get("pretokenizers", [rule]) if isinstance(rule, Mapping) else []
    kinds = [step.get("type") for step in steps]
    if kinds == ["Split", "ByteLevel"] and not steps[1].get("use_regex"):
        pattern = steps[0].get("pattern")
        name = PATTERNS.get(str(pattern.get("Regex"))) if isinstance(pattern, Mapping) else None
        if name:
            return name
    if kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits") and steps[1].get("use_regex"):
        return "smollm"
    raise BadRequest(f"{path} splits text in a way that OpenVINO GenAI does not know from GGUF", help=_HELP)


def _merges(merges: object) -> Sequence[str]:
    """Each merge as two words; newer files have them as pairs."""
    listed = merges if isinstance(merges, list) else []
    return [merge if isinstance(merge, str) else " ".join(merge) for merge in listed]


def _special(directory: Path, stated: Mapping[str, object], ids: Mapping[str, int]) -> dict[str, Setting]:
    found: dict[str, Setting] = {}
    for name, key in SPECIAL.items():
        value = stated.get(key)
        token = value.get("content") if isinstance(value, Mapping) else value
        if token in ids:
            found[f"tokenizer.ggml.{name}_token_id"] = ids[str(token)]
    if "tokenizer.ggml.eos_token_id" not in found:
        found["tokenizer.ggml.eos_token_id"] = _end(directory)
    return found


def _end(directory: Path) -> int:
    for name in ("generation_config.json", "config.json"):
        value = read_map_if_there(directory / name).get("eos_token_id")
        first = value[0] if isinstance(value, list) and value else value
        if isinstance(first, int):
            return first
    raise BadRequest(f"{directory} does not say which token ends an answer", help="set eos_token_id in config.json")


def _template(directory: Path, stated: Mapping[str, object]) -> str:
    file = directory / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    value = stated.get("chat_template")
    if isinstance(value, list):
        named = {str(entry["name"]): str(entry["template"]) for entry in value}
        value = named.get("default")
    if not isinstance(value, str):
        raise BadRequest(
            f"{directory} has no chat template, so it is no chat model",
            help="take the instruct or chat variant, or put chat_template.jinja beside the weights",
        )
    return value
