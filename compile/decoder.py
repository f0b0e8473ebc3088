"""The graph of a decoder of Qwen3, Qwen2, Llama or Mistral without a cache of keys and values.

One net reads a whole text at once. Mask and positions are inputs although they never change: so the weights of
all lengths are the same bytes, and the combined file holds them once. Texts lie at the beginning of their row; what
pads the rest cannot reach the last token of a text under a causal mask, so only that token's place is needed.
In the last layer only that token goes on behind the attention.

Formulas: Touvron et al. 2023 (pre-norm, RMSNorm, SwiGLU), Ainslie et al. 2023 (grouped queries), Qwen3 (norms of
queries and keys).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from services.llm.backends.causal import Causal
from services.models.checkpoint import Checkpoint

from .mlir import Graph, Int32, Text, Value

Memory = Literal["none", "filled", "read"]
HEAD = "answers"
# Rows of a head whose product is worth float32.
MAX_EXACT = 16
COSINES, SINES = "rotary.cos", "rotary.sin"


@dataclass(frozen=True, slots=True)
class Shape:
    """How much a net reads at once: so many texts, of so many tokens each."""

    batch: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Decoder:
    """Writes the nets of a model.

    Attributes:
        causal: the model's shape.
        checkpoint: tells the sizes of the tensors, and which norms and biases there are.
        positions: rows of the table of rotary turns: the longest of all nets, so that they share it.
        head: rows of the head that become logits; 0: the vector itself comes out.
        weight_file: as in ``Graph``.
        memory: ``none``: a text is read and forgotten. ``filled``: the keys and values of every layer come out behind
            the output, ``key_N`` and ``value_N``, each [1, tokens, kv_heads, head_width]. ``read``: one token is read
            after up to ``tokens`` others, whose keys and values are the inputs ``past_key_N`` and ``past_value_N``;
            its own come out.
    """

    causal: Causal
    checkpoint: Checkpoint
    positions: int
    head: int
    weight_file: str
    memory: Memory = "none"

    def whole(self, name: str, shape: Shape) -> Text:
        """The model in one net.

        Inputs: ``input_ids`` int32 [batch, tokens]; ``last_index`` int32 [batch], row * tokens + place of the last
        token; ``position_ids`` int32 [1, tokens]; ``attention_mask`` float32 [batch, 1, tokens, tokens], 0 or -10000.
        Output: ``embedding`` float32 [batch, hidden] behind the final norm, or ``logits`` float32 [batch, head].
        With a memory that is read there is no ``last_index``, tokens are 1, and the mask is [1, 1, 1, past + 1].
        """
        net = _Net(self, name, shape)
        ids, last = net.ids(), net.last()
        net.turns()
        hidden = net.words(ids)
        for layer in range(self.causal.layers):
            hidden = net.layer(hidden, layer, last=last if layer == self.causal.layers - 1 else None)
        return net.text(net.end(hidden if last is not None else net.only(hidden)))

    def words(self, name: str, shape: Shape) -> Text:
        """The first of several nets: ``input_ids`` to ``hidden`` float32 [batch, tokens, hidden]."""
        net = _Net(self, name, shape)
        return net.text(net.words(net.ids(), "hidden"))

    def block(self, name: str, shape: Shape, layer: int) -> Text:
        """A layer in a net of its own: ``hidden_in``, ``position_ids``, ``attention_mask`` to ``hidden``."""
        net = _Net(self, name, shape)
        hidden = net.hidden()
        net.turns()
        return net.text(net.layer(hidden, layer, name="hidden"))

    def tail(self, name: str, shape: Shape) -> Text:
        """The last of several nets: ``hidden_in`` and ``last_index`` to what ``whole`` gives."""
        net = _Net(self, name, shape)
        hidden, last = net.hidden(), net.last()
        return net.text(net.end(net.only(hidden) if last is None else net.picked(hidden, last, "last_hidden")))


class _Net:
    def __init__(self, decoder: Decoder, name: str, shape: Shape) -> None:
        self._decoder, self._causal, self._checkpoint = decoder, decoder.causal, decoder.checkpoint
        has_past = decoder.memory == "read"
        self._batch, self._tokens = shape.batch, 1 if has_past else shape.tokens
        self._past = shape.tokens if has_past else 0
        self._graph = Graph(name, decoder.weight_file)

    def text(self, output: Value) -> Text:
        return self._graph.text(output)

    def ids(self) -> Value:
        return self._graph.input("input_ids", (self._batch, self._tokens), "si32")

    def last(self) -> Value | None:
        """Where the last token of each text is; None where there is one token only."""
        return None if self._past else self._graph.input("last_index", (self._batch,), "si32")

    def hidden(self) -> Value:
        return self._graph.input("hidden_in", (self._batch, self._tokens, self._causal.hidden))

    def turns(self) -> None:
        """Rotary turns and the mask, for ``layer``."""
        positions = self._graph.input("position_ids", (1, self._tokens), "si32")
        self._mask = self._graph.input("attention_mask", (self._batch, 1, self._tokens, self._past + self._tokens))
        table, row = (
            (self._decoder.positions, 1, self._causal.head_width),
            (1, self._tokens, 1, self._causal.head_width),
        )
        self._cosines, self._sines = (
            self._graph.op("Gather", [self._graph.weight(name, table), positions], row, f"{name}.here", axis=Int32(0))
            for name in (COSINES, SINES)
        )

    def words(self, ids: Value, name: str = "words") -> Value:
        table = self._weight("embed_tokens.weight")
        return self._graph.op("Gather", [table, ids], (self._batch, self._tokens, self._causal.hidden), name)

    def layer(self, hidden: Value, number: int, *, last: Value | None = None, name: str = "") -> Value:
        """One layer; with ``last``, only those tokens go on behind the attention."""
        own = f"layers.{number}."
        mixed = self._attended(self._norm(hidden, own + "input_layernorm"), own + "self_attn.", number)
        if last is not None:
            mixed, hidden = self.picked(mixed, last, "last_mixed"), self.picked(hidden, last, "last_hidden")
        mixed = self._linear(mixed, own + "self_attn.o_proj", self._causal.hidden)
        hidden = self._sum(hidden, mixed, own + "attended")
        inner = self._gated(self._norm(hidden, own + "post_attention_layernorm"), own + "mlp.")
        return self._sum(hidden, inner, name or own + "out")

    def picked(self, rows: Value, last: Value, name: str) -> Value:
        """The last token of each text, [batch, width]."""
        width = rows.shape[-1]
        flat = self._graph.op("Reshape", [rows], (self._batch * self._tokens, width), name + ".rows")
        return self._graph.op("Gather", [flat, last], (self._batch, width), name, axis=Int32(0))

    def only(self, hidden: Value) -> Value:
        """One token as a row, [1, hidden]."""
        return self._graph.op("Reshape", [hidden], (self._batch, self._causal.hidden), "last_hidden")

    def end(self, hidden: Value) -> Value:
        """The final norm, which must never be left to another net, and the head.

        They are computed in float32 unless the head is a whole vocabulary: a logit of 20 in 16 bits comes in steps of
        1/8, and both cost nothing for one token.
        """
        head = self._decoder.head
        op = self._graph.op if head > MAX_EXACT else self._graph.exactly
        name = "norm" if head else "embedding"
        gamma = self._graph.weight("norm.weight", _broadcast(hidden.shape))
        normal = op("RMSNorm", [hidden, gamma], hidden.shape, name, eps=self._causal.epsilon)
        if not head:
            return normal
        weight = self._graph.weight(HEAD, (self._causal.hidden, head))
        return op("MatMul", [normal, weight, self._graph.none], (self._batch, head), "logits")

    def _attended(self, normal: Value, name: str, number: int) -> Value:
        c, graph = self._causal, self._graph
        query = self._turned(self._heads(normal, name + "q", c.heads), name + "q_turned")
        key = self._turned(self._heads(normal, name + "k", c.kv_heads), f"key_{number}")
        value = self._heads(normal, name + "v", c.kv_heads, f"value_{number}")
        key, value = self._remembered(key, f"key_{number}"), self._remembered(value, f"value_{number}")
        return graph.op(
            "FAttention", [query, key, value, self._mask, graph.none],
            (self._batch, self._tokens, c.heads * c.head_width), name + "mixed", scale=c.head_width**-0.5,
            batch=self._batch, q_head=c.heads, kv_head=c.kv_heads, dim=c.head_width, mq=self._tokens,
            mk=self._past + self._tokens, keep_dims=False,
        )  # fmt: skip

    def _remembered(self, new: Value, name: str) -> Value:
        """With what the memory holds of the layer in front; and given out to it."""
        if self._decoder.memory != "none":
            self._graph.keep(new)
        if not self._past:
            return new
        c = self._causal
        past = self._graph.memory(f"past_{name}", (self._batch, self._past, c.kv_heads, c.head_width))
        shape = (self._batch, self._past + self._tokens, c.kv_heads, c.head_width)
        return self._graph.op("Concat", [past, new], shape, f"all_{name}", axis=Int32(1))

    def _heads(self, normal: Value, name: str, heads: int, given: str = "") -> Value:
        """A projection as [batch, tokens, heads, head_width], normed where the model does it."""
        width = self._causal.head_width
        rows = self._linear(normal, f"{name}_proj", heads * width)
        split = self._graph.op("Reshape", [rows], (self._batch, self._tokens, heads, width), given or f"{name}_heads")
        return self._norm(split, f"{name}_norm") if f"{name}_norm.weight" in self._checkpoint else split

    def _turned(self, heads: Value, name: str) -> Value:
        inputs = [heads, self._sines, self._cosines]
        return self._graph.op("Rope", inputs, heads.shape, name, rope_mode="contiguous_halves")

    def _gated(self, normal: Value, name: str) -> Value:
        inner = self._checkpoint.entry(f"{name}gate_proj.weight").shape[0]
        gate = self._linear(normal, name + "gate_proj", inner)
        gate = self._graph.op("SiLU", [gate], gate.shape, name + "silu")
        up = self._linear(normal, name + "up_proj", inner)
        return self._linear(
            self._graph.op("Mul", [gate, up], gate.shape, name + "gated"), name + "down_proj", self._causal.hidden
        )

    def _sum(self, one: Value, other: Value, name: str) -> Value:
        return self._graph.op("Add", [one, other], one.shape, name)

    def _linear(self, rows: Value, name: str, width: int) -> Value:
        """The weights lie [in, out], the other way round than in the checkpoint."""
        weight = self._graph.weight(f"{name}.weight", (rows.shape[-1], width))
        shape = (*rows.shape[:-1], width)
        bias = self._graph.none
        if f"{name}.bias" in self._checkpoint:
            bias = self._graph.weight(f"{name}.bias", _broadcast(shape))
        return self._graph.op("MatMul", [rows, weight, bias], shape, name)

    def _norm(self, rows: Value, name: str) -> Value:
        gamma = self._graph.weight(f"{name}.weight", _broadcast(rows.shape))
        return self._graph.op("RMSNorm", [rows, gamma], rows.shape, name, eps=self._causal.epsilon)

    def _weight(self, name: str) -> Value:
        return self._graph.weight(name, self._checkpoint.entry(name).shape)


def _broadcast(shape: Sequence[int]) -> tuple[int, ...]:
    """A vector along the last axis."""
    return (*[1] * (len(shape) - 1), shape[-1])
