"""What do the settings of sentence-transformers beside a model say: pooling, prompts, length, extra layers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clients.errors import BadRequest

from .card import Pooling
from .json_file import read_map, read_map_if_there

MODULES = "modules.json"
PROMPTS = "config_sentence_transformers.json"
LENGTHS = ("sentence_bert_config.json", "sentence_roberta_config.json", "sentence_xlm-roberta_config.json")
POOLINGS: Mapping[str, Pooling] = {"mean": "mean", "cls": "cls", "lasttoken": "last"}
# The older spelling has a switch for each way of pooling.
SWITCHES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
INSTRUCT = re.compile(r"Instruct: (?P<instruction>.+?)\n(?P<rest>Query: ?)", re.DOTALL)
# Tokenizers state absurd lengths when nobody set one.
MAX_STATED_TOKENS = 10_000_000


@dataclass(frozen=True, slots=True)
class Prompts:
    """What stands in front of queries and documents; ``query`` may contain ``{instruction}``."""

    query: str = ""
    document: str = ""
    instruction: str = ""


def module_types(directory: Path) -> tuple[str, ...]:
    """The last words of the module types in order, such as Transformer, Pooling, Normalize."""
    path = directory / MODULES
    if not path.is_file():
        return ()
    try:
        return tuple(str(module["type"]).rpartition(".")[2] for module in json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadRequest(f"{path} is not a list of modules: {error!r}") from error


def pooling(directory: Path) -> Pooling | None:
    """How token vectors become one; None when the files do not say.

    Raises:
        BadRequest: in a way that is not served, or with a layer behind it; says which.
    """
    if others := [name for name in module_types(directory) if name in ("Dense", "LSTM", "CNN", "WeightedLayerPooling")]:
        raise BadRequest(f"{directory} has a {others[0]} layer behind the model, and that is not served")
    path = directory / "1_Pooling" / "config.json"
    if not path.is_file():
        return None
    settings = read_map(path)
    switched = [mode for switch, mode in SWITCHES.items() if settings.get(switch) is True]
    modes = settings.get("pooling_mode", switched or "mean")
    names = [modes] if isinstance(modes, str) else modes if isinstance(modes, list) else []
    if len(names) != 1 or names[0] not in POOLINGS:
        raise BadRequest(f"{path}: pooling by {modes} is not served", help="mean, cls and lasttoken are")
    if settings.get("include_prompt") is False and any(_texts(directory).values()):
        raise BadRequest(f"{path}: pooling that leaves out the prompt is not served")
    return POOLINGS[names[0]]


def prompts(directory: Path) -> Prompts:
    """The prompts that the model's settings name; what they do not name is not guessed."""
    texts = _texts(directory)
    default = texts.get(str(read_map_if_there(directory / PROMPTS).get("default_prompt_name")), "")
    query = texts.get("query", default)
    document = texts.get("document", texts.get("passage", texts.get("corpus", default)))
    if match := INSTRUCT.fullmatch(query):
        return Prompts(f"Instruct: {{instruction}}\n{match['rest']}", document, match["instruction"])
    return Prompts(query, document)


def stated_tokens(directory: Path) -> int:
    """Longest input by the settings; 0 when they do not say."""
    for name in LENGTHS:
        value = read_map_if_there(directory / name).get("max_seq_length")
        if isinstance(value, int):
            return value
    value = read_map_if_there(directory / "tokenizer_config.json").get("model_max_length")
    return value if isinstance(value, int) and value < MAX_STATED_TOKENS else 0


def answer_tokens(directory: Path) -> tuple[int, int] | None:
    """Ids of the words for a match and for none by the settings of a LogitScore; None without one."""
    types = module_types(directory)
    if "LogitScore" not in types:
        return None
    path = directory / f"{types.index('LogitScore')}_LogitScore" / "config.json"
    settings = read_map(path)
    match settings.get("true_token_id"), settings.get("false_token_id"):
        case int(true), int(false):
            return true, false
    raise BadRequest(f"{path}: a score needs true_token_id and false_token_id", help="one word alone is not served")


def _texts(directory: Path) -> dict[str, str]:
    stated = read_map_if_there(directory / PROMPTS).get("prompts")
    return {name: text for name, text in stated.items() if isinstance(text, str)} if isinstance(stated, Mapping) else {}
