"""What are the sizes of an encoder, and what are its tensors called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clients.errors import BadRequest

# The ways of computing gelu: exactly, or by the formula with tanh.
GELUS = {"gelu": "erf", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh"}
ACTIVATIONS = (*GELUS, "relu", "tanh")


@dataclass(frozen=True, slots=True)
class Names:
    """Tensors of a layer, without ``.weight`` and ``.bias``; ``layer`` stands in front of all others."""

    layer: str = "encoder.layer.{}."
    query: str = "attention.self.query"
    key: str = "attention.self.key"
    value: str = "attention.self.value"
    mixed: str = "attention.output.dense"
    mixed_norm: str = "attention.output.LayerNorm"
    inner: str = "intermediate.dense"
    outer: str = "output.dense"
    outer_norm: str = "output.LayerNorm"


@dataclass(frozen=True, slots=True)
class Head:
    """What makes one number of the first token: a dense layer, an activation, a second layer."""

    dense: str = "classifier.dense"
    activation: str = "tanh"
    out: str = "classifier.out_proj"


@dataclass(frozen=True, slots=True)
class Layout:
    """An encoder as its ``config.json`` describes it.

    Attributes:
        epsilon: of the layer norms.
        activation: one of ``ACTIVATIONS``.
        offset: row of the table of positions that the first token takes.
        buckets: of distances between tokens, each with a bias per head (MPNet); 0: positions only.
        head: of a cross-encoder in this architecture.
    """

    hidden: int
    heads: int
    layers: int
    epsilon: float = 1e-12
    activation: str = "gelu"
    offset: int = 0
    buckets: int = 0
    names: Names = field(default_factory=Names)
    head: Head = field(default_factory=Head)


BERT = Head("pooler.dense", "tanh", "classifier")
DISTILBERT = Names(
    "transformer.layer.{}.", "attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin",
    "sa_layer_norm", "ffn.lin1", "ffn.lin2", "output_layer_norm",
)  # fmt: skip
MPNET = Names(
    query="attention.attn.q", key="attention.attn.k", value="attention.attn.v", mixed="attention.attn.o",
    mixed_norm="attention.LayerNorm",
)  # fmt: skip
# RoBERTa and its kin leave the first positions to padding: Liu et al. 2019, as fairseq numbers them.
PADDED = ("camembert", "mpnet", "roberta", "xlm-roberta")
KNOWN = ("bert", "distilbert", "electra", *PADDED)


def layout_of(config: Mapping[str, Any]) -> Layout:
    """The layout that a ``config.json`` describes.

    Raises:
        BadRequest: an architecture, an activation or a kind of positions that is not known.
    """
    kind = str(config.get("model_type"))
    if kind not in KNOWN:
        raise BadRequest(f"a '{kind}' model cannot be loaded as an encoder", help=f"known: {', '.join(KNOWN)}")
    if (positions := config.get("position_embedding_type", "absolute")) != "absolute":
        raise BadRequest(f"an encoder with '{positions}' positions cannot be loaded", help="absolute ones can")
    try:
        layout = _distilbert(config) if kind == "distilbert" else _bert_like(config, kind)
    except (KeyError, TypeError, ValueError) as error:
        raise BadRequest(f"config.json does not describe a '{kind}' model: {error!r}") from error
    if layout.activation not in ACTIVATIONS:
        raise BadRequest(f"the activation '{layout.activation}' is not known", help=f"known: {', '.join(ACTIVATIONS)}")
    return layout


def _bert_like(config: Mapping[str, Any], kind: str) -> Layout:
    heads = {"bert": BERT, "electra": Head(activation="gelu")}
    return Layout(
        int(config["hidden_size"]),
        int(config["num_attention_heads"]),
        int(config["num_hidden_layers"]),
        float(config.get("layer_norm_eps", 1e-12)),
        str(config.get("hidden_act", "gelu")),
        int(config["pad_token_id"]) + 1 if kind in PADDED else 0,
        int(config.get("relative_attention_num_buckets", 32)) if kind == "mpnet" else 0,
        MPNET if kind == "mpnet" else Names(),
        heads.get(kind, Head()),
    )


def _distilbert(config: Mapping[str, Any]) -> Layout:
    return Layout(
        int(config["dim"]),
        int(config["n_heads"]),
        int(config["n_layers"]),
        activation=str(config.get("activation", "gelu")),
        names=DISTILBERT,
        head=Head("pre_classifier", "relu", "classifier"),
    )
