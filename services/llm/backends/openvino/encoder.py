"""Which OpenVINO graph is an encoder, or a cross-encoder.

The graph begins behind the table of word vectors: that table is most of a multilingual model, and
read from the mapped file it costs neither memory nor start-up time. Formulas: Devlin et al. 2018
(post-norm encoder, erf-gelu); mean pooling and L2 as in sentence-transformers.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from clients.errors import BadRequest
from services.llm.backends.distances import buckets
from services.llm.backends.layout import GELUS, Layout
from services.models.checkpoint import Checkpoint

from .weights import Kind, Weights

MASKED = np.float32(-1e9)


def encoder(checkpoint: Checkpoint, layout: Layout, pooling: Literal["mean", "cls"], weights: Kind) -> Any:
    """The encoder as an ``openvino.Model``.

    Inputs: ``x`` float32 [n, tokens, width], the sums of word, position and type vectors;
    ``mask`` float32 [n, tokens], 1 for a token and 0 for padding.
    Outputs: ``tokens`` float32 [n, tokens, hidden] and ``pooled`` float32 [n, hidden], both
    L2-normalised along the last axis.

    Raises:
        BadRequest: a tensor is missing.
    """
    return _Emitter(checkpoint, layout, weights).encoder(pooling)


def cross_encoder(checkpoint: Checkpoint, layout: Layout, weights: Kind) -> Any:
    """The encoder with a classifier of one output on top, as an ``openvino.Model``.

    Inputs: those of ``encoder``. Output: ``logit`` float32 [n, 1].

    Raises:
        BadRequest: a tensor is missing, or the classifier has several outputs.
    """
    return _Emitter(checkpoint, layout, weights).cross_encoder()


class _Emitter:
    def __init__(self, checkpoint: Checkpoint, layout: Layout, weights: Kind) -> None:
        import openvino
        import openvino.opset15 as opset

        self._ov, self._op = openvino, opset
        self._checkpoint, self._layout, self._weights = checkpoint, layout, Weights(checkpoint, weights)
        width = checkpoint.tensor("embeddings.word_embeddings.weight").shape[1]
        self._x = opset.parameter([-1, -1, width], np.float32, name="x")
        self._mask = opset.parameter([-1, -1], np.float32, name="mask")

    def encoder(self, pooling: Literal["mean", "cls"]) -> Any:
        hidden = self._embedded()
        bias = self._bias()
        for number in range(self._layout.layers):
            hidden = self._layer(hidden, hidden, bias, number)
        pooled = self._mean(hidden) if pooling == "mean" else self._flat(self._first(hidden))
        return self._model({"tokens": self._unit(hidden, 2), "pooled": self._unit(pooled, 1)})

    def cross_encoder(self) -> Any:
        """Of the last layer only the first token is read, so only that one is computed."""
        head, last = self._layout.head, self._layout.layers - 1
        if (outputs := self._checkpoint.tensor(head.out + ".weight").shape[0]) != 1:
            raise BadRequest(f"{self._checkpoint.path} sorts into {outputs} classes; a reranker has one output")
        hidden = self._embedded()
        bias = self._bias()
        for number in range(last):
            hidden = self._layer(hidden, hidden, bias, number)
        first = self._layer(self._first(hidden), hidden, self._bias(is_first=True), last)
        inner = self._activate(self._linear(self._flat(first), head.dense), head.activation)
        return self._model({"logit": self._linear(inner, head.out)})

    def _model(self, outputs: dict[str, Any]) -> Any:
        results = [self._op.result(node, name=name) for name, node in outputs.items()]
        return self._ov.Model(results, [self._x, self._mask], "encoder")

    def _embedded(self) -> Any:
        normal = self._layer_norm(self._x, "embeddings.LayerNorm")
        return self._linear(normal, "embeddings_project") if "embeddings_project.weight" in self._checkpoint else normal

    def _bias(self, *, is_first: bool = False) -> Any:
        """What is added to the attention scores: [n, 1, 1, tokens], with distances [n, heads, tokens, tokens]."""
        op = self._op
        padding = op.multiply(op.subtract(op.constant(np.float32(1)), self._mask), op.constant(MASKED))
        padding = op.unsqueeze(padding, self._ints(1, 2))
        return op.add(padding, self._distances(is_first=is_first)) if self._layout.buckets else padding

    def _distances(self, *, is_first: bool) -> Any:
        """A bias [heads, from, to] for how far two tokens are apart; for the first token only if so wished."""
        op = self._op
        longest = self._checkpoint.tensor("embeddings.position_embeddings.weight").shape[0]
        table = self._checkpoint.float32("encoder.relative_attention_bias.weight")
        by_distance = op.constant(np.ascontiguousarray(table[buckets(self._layout.buckets, longest)]))
        zero, one = op.constant(np.int64(0)), op.constant(np.int64(1))
        size = op.gather(op.shape_of(self._mask), one, zero)
        places = op.range(zero, size, one, "i64")
        rows = self._ints(0) if is_first else places
        apart = op.subtract(op.unsqueeze(places, zero), op.unsqueeze(rows, one))
        biases = op.gather(by_distance, op.add(apart, op.constant(np.int64(longest - 1))), zero)
        return op.transpose(biases, self._ints(2, 0, 1))

    def _layer(self, asking: Any, hidden: Any, bias: Any, number: int) -> Any:
        """A layer's output for the tokens of ``asking``, which look at those of ``hidden``."""
        names = self._layout.names
        name = names.layer.format(number)
        attended = self._linear(self._attention(asking, hidden, bias, name), name + names.mixed)
        mixed = self._layer_norm(self._op.add(asking, attended), name + names.mixed_norm)
        inner = self._activate(self._linear(mixed, name + names.inner), self._layout.activation)
        outer = self._linear(inner, name + names.outer)
        return self._layer_norm(self._op.add(mixed, outer), name + names.outer_norm)

    def _attention(self, asking: Any, hidden: Any, bias: Any, name: str) -> Any:
        op, layout = self._op, self._layout
        split = self._ints(0, 0, layout.heads, layout.hidden // layout.heads)
        swap = self._ints(0, 2, 1, 3)
        parts = ((asking, layout.names.query), (hidden, layout.names.key), (hidden, layout.names.value))
        query, key, value = (
            op.transpose(op.reshape(self._linear(node, name + part), split, special_zero=True), swap)
            for node, part in parts
        )
        mixed = op.scaled_dot_product_attention(query, key, value, bias, causal=False)
        return op.reshape(op.transpose(mixed, swap), self._ints(0, 0, layout.hidden), special_zero=True)

    def _activate(self, node: Any, activation: str) -> Any:
        if activation in GELUS:
            return self._op.gelu(node, GELUS[activation])
        return self._op.tanh(node) if activation == "tanh" else self._op.relu(node)

    def _linear(self, node: Any, name: str) -> Any:
        product = self._op.matmul(node, self._weights.matrix(name + ".weight"), False, True)  # noqa: FBT003 - OpenVINO's own order: transpose neither but the second
        return self._op.add(product, self._weights.vector(name + ".bias"))

    def _layer_norm(self, node: Any, name: str) -> Any:
        op = self._op
        normal = op.mvn(node, self._ints(-1), True, self._layout.epsilon, "inside_sqrt")  # noqa: FBT003 - OpenVINO's own order: divide by the deviation too
        return op.add(op.multiply(normal, self._weights.vector(name + ".weight")), self._weights.vector(name + ".bias"))

    def _ints(self, *values: int) -> Any:
        return self._op.constant(np.array(values, np.int64))

    def _mean(self, hidden: Any) -> Any:
        op = self._op
        weights = op.unsqueeze(self._mask, op.constant(np.int64(2)))
        tokens = op.constant(np.int64(1))
        return op.divide(op.reduce_sum(op.multiply(hidden, weights), tokens), op.reduce_sum(weights, tokens))

    def _first(self, hidden: Any) -> Any:
        """The first token's vector [n, 1, hidden]."""
        return self._op.gather(hidden, self._ints(0), self._op.constant(np.int64(1)))

    def _flat(self, first: Any) -> Any:
        return self._op.squeeze(first, self._ints(1))

    def _unit(self, node: Any, axis: int) -> Any:
        return self._op.normalize_l2(node, self._ints(axis), 1e-12, "max")
