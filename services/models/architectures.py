"""Which architectures can be loaded, and what a model's ``config.json`` says of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from clients.errors import BadRequest

from .json_file import read_map

ENCODERS = ("bert", "camembert", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta")
DECODERS = ("qwen3", "qwen2", "llama", "mistral")
# Of these the first positions belong to padding: Liu et al. 2019, as fairseq numbers them.
OFFSET = ("camembert", "mpnet", "roberta", "xlm-roberta")
# DistilBERT has its own words for the sizes.
ALIASES = {
    "hidden_size": "dim", "num_attention_heads": "n_heads", "num_hidden_layers": "n_layers",
    "intermediate_size": "hidden_dim",
}  # fmt: skip
KNOWN = (
    f"encoders in safetensors ({', '.join(ENCODERS)}), decoders in safetensors ({', '.join(DECODERS)}) "
    "and chat models as .gguf files can be loaded"
)


class Architecture:
    """What ``config.json`` says.

    Args:
        directory: of the model.

    Raises:
        BadRequest: it is no architecture that can be loaded; says which can.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / "config.json"
        self.config: Mapping[str, object] = read_map(self.path)
        self.type = str(self.config.get("model_type", ""))
        classes = self.config.get("architectures")
        self.class_name = str(classes[0]) if isinstance(classes, list) and classes else ""
        if self.type not in (*ENCODERS, *DECODERS):
            raise BadRequest(f"{directory} holds a '{self.type or 'nameless'}' model", help=KNOWN)
        if method := self.config.get("quantization_config"):
            name = method.get("quant_method", "") if isinstance(method, Mapping) else ""
            raise BadRequest(
                f"{directory} is quantised ({name or 'unknown method'}), and that is not read",
                help="take the fp16 or bf16 weights of the same model; --dtype int8 makes a chat model small",
            )

    @property
    def is_decoder(self) -> bool:
        """Whether it reads from left to right."""
        return self.type in DECODERS

    @property
    def is_classifier(self) -> bool:
        """Whether a head for classes stands on top."""
        return self.class_name.endswith("ForSequenceClassification")

    @property
    def writes(self) -> bool:
        """Whether it can tell the next token."""
        return self.is_decoder and self.class_name.endswith("ForCausalLM")

    @property
    def num_labels(self) -> int:
        """Outputs of the classifier."""
        labels = self.config.get("id2label")
        stated = self.config.get("num_labels", 2)
        return len(labels) if isinstance(labels, Mapping) else stated if isinstance(stated, int) else 2

    @property
    def position_offset(self) -> int:
        """Number of the first token's position in the table of positions."""
        return self.number("pad_token_id", 1) + 1 if self.type in OFFSET else 0

    @property
    def max_positions(self) -> int:
        """Longest input that the model has positions for."""
        return self.number("max_position_embeddings") - self.position_offset

    @property
    def rope(self) -> Mapping[str, object]:
        """Settings of the rotary positions, in the older spelling of transformers or the newer."""
        for key in ("rope_parameters", "rope_scaling"):
            value = self.config.get(key)
            if isinstance(value, Mapping):
                return {"rope_theta": self.config.get("rope_theta", 10000.0)} | dict(value)
        return {"rope_theta": self.config.get("rope_theta", 10000.0)}

    @property
    def context_tokens(self) -> int:
        """Tokens that attention reaches in every layer."""
        window = self.config.get("sliding_window")
        is_used = self.config.get("use_sliding_window", self.type == "mistral") is True
        return min(window, self.max_positions) if isinstance(window, int) and is_used else self.max_positions

    @property
    def head_width(self) -> int:
        """Numbers in the key of one head."""
        return self.number("head_dim", self.number("hidden_size") // self.number("num_attention_heads"))

    @property
    def cache_width(self) -> int:
        """Numbers in the keys of a token, over all layers; its values are as many."""
        heads = self.number("num_key_value_heads", self.number("num_attention_heads"))
        return self.number("num_hidden_layers") * heads * self.head_width

    def number(self, key: str, default: int | None = None) -> int:
        """A whole number of the file; BadRequest if it is none."""
        value = self.config.get(key, self.config.get(ALIASES.get(key, key)))
        value = default if value is None else value
        if not isinstance(value, int):
            raise BadRequest(f"{self.path}: '{key}' is not a number")
        return value
