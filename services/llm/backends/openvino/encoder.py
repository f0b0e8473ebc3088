"""Which OpenVINO graph is a BERT or XLM-R encoder.

The graph begins behind the table of word vectors: that table is most of a multilingual model, and
read from the mapped file it costs neither memory nor start-up time. Formulas: Devlin et al. 2018
(post-norm encoder, erf-gelu); mean pooling and L2 as in sentence-transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from clients.errors import BadRequest
from services.models.checkpoint import Checkpoint

MASKED = np.float32(-1e9)
ACTIVATIONS = {"gelu": "erf", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh"}
Weights = Literal["float", "int8"]


def encoder(
    checkpoint: Checkpoint, config: Mapping[str, Any], pooling: Literal["mean", "cls"], weights: Weights
) -> Any:
    """The encoder as an ``openvino.Model``.

    Inputs: ``x`` float32 [n, tokens, hidden], the sums of word, position and type vectors;
    ``mask`` float32 [n, tokens], 1 for a token and 0 for padding.
    Outputs: ``tokens`` float32 [n, tokens, hidden] and ``pooled`` float32 [n, hidden], both
    L2-normalised along the last axis.

    Raises:
        BadRequest: a tensor is missing, or the activation is unknown.
    """
    return _Emitter(checkpoint, config, weights).model(pooling)


class _Emitter:
    def __init__(self, checkpoint: Checkpoint, config: Mapping[str, Any], weights: Weights) -> None:
        import openvino
        import openvino.opset15 as opset

        self._ov, self._op = openvino, opset
        self._checkpoint, self._weights = checkpoint, weights
        self._hidden = int(config["hidden_size"])
        self._heads = int(config["num_attention_heads"])
        self._layers = int(config["num_hidden_layers"])
        self._epsilon = float(config.get("layer_norm_eps", 1e-12))
        self._activation = str(config.get("hidden_act", "gelu"))
        if self._activation not in (*ACTIVATIONS, "relu"):
            raise BadRequest(
                f"the activation '{self._activation}' is not known", help=f"known: {', '.join(ACTIVATIONS)}, relu"
            )

    def model(self, pooling: Literal["mean", "cls"]) -> Any:
        op = self._op
        x = op.parameter([-1, -1, self._hidden], np.float32, name="x")
        mask = op.parameter([-1, -1], np.float32, name="mask")
        bias = op.multiply(op.subtract(op.constant(np.float32(1)), mask), op.constant(MASKED))
        bias = op.unsqueeze(bias, op.constant(np.array([1, 2], np.int64)))
        hidden = self._layer_norm(x, "embeddings.LayerNorm")
        for number in range(self._layers):
            hidden = self._layer(hidden, bias, f"encoder.layer.{number}.")
        pooled = self._mean(hidden, mask) if pooling == "mean" else self._first(hidden)
        results = [
            op.result(self._unit(node, axis), name=name)
            for node, axis, name in ((hidden, 2, "tokens"), (pooled, 1, "pooled"))
        ]
        return self._ov.Model(results, [x, mask], "encoder")

    def _layer(self, hidden: Any, bias: Any, name: str) -> Any:
        attended = self._linear(self._attention(hidden, bias, name), name + "attention.output.dense")
        hidden = self._layer_norm(self._op.add(hidden, attended), name + "attention.output.LayerNorm")
        inner = self._activate(self._linear(hidden, name + "intermediate.dense"))
        return self._layer_norm(
            self._op.add(hidden, self._linear(inner, name + "output.dense")), name + "output.LayerNorm"
        )

    def _attention(self, hidden: Any, bias: Any, name: str) -> Any:
        op = self._op
        split = op.constant(np.array([0, 0, self._heads, self._hidden // self._heads], np.int64))
        swap = op.constant(np.array([0, 2, 1, 3], np.int64))
        query, key, value = (
            op.transpose(
                op.reshape(self._linear(hidden, f"{name}attention.self.{part}"), split, special_zero=True), swap
            )
            for part in ("query", "key", "value")
        )
        mixed = op.scaled_dot_product_attention(query, key, value, bias, causal=False)
        return op.reshape(
            op.transpose(mixed, swap), op.constant(np.array([0, 0, self._hidden], np.int64)), special_zero=True
        )

    def _activate(self, node: Any) -> Any:
        return self._op.relu(node) if self._activation == "relu" else self._op.gelu(node, ACTIVATIONS[self._activation])

    def _linear(self, node: Any, name: str) -> Any:
        product = self._op.matmul(node, self._matrix(self._checkpoint.float32(name + ".weight")), False, True)  # noqa: FBT003 - OpenVINO's own order: transpose neither but the second
        return self._op.add(product, self._constant(name + ".bias"))

    def _matrix(self, values: np.ndarray) -> Any:
        """Weights [out, in]; as int8 with one scale per output, which lets the runtime multiply in int8."""
        if self._weights == "float":
            return self._op.constant(values, shared_memory=True)
        scales = np.maximum(np.abs(values).max(axis=1, keepdims=True), 1e-12) / 127
        packed = self._op.constant(np.round(values / scales).astype(np.int8))
        return self._op.multiply(self._op.convert(packed, "f32"), self._op.constant(scales.astype(np.float32)))

    def _layer_norm(self, node: Any, name: str) -> Any:
        op = self._op
        normal = op.mvn(node, op.constant(np.array([-1], np.int64)), True, self._epsilon, "inside_sqrt")  # noqa: FBT003 - OpenVINO's own order: divide by the deviation too
        return op.add(op.multiply(normal, self._constant(name + ".weight")), self._constant(name + ".bias"))

    def _constant(self, name: str) -> Any:
        return self._op.constant(self._checkpoint.float32(name), shared_memory=True)

    def _mean(self, hidden: Any, mask: Any) -> Any:
        op = self._op
        weights = op.unsqueeze(mask, op.constant(np.int64(2)))
        tokens = op.constant(np.int64(1))
        return op.divide(op.reduce_sum(op.multiply(hidden, weights), tokens), op.reduce_sum(weights, tokens))

    def _first(self, hidden: Any) -> Any:
        return self._op.gather(hidden, self._op.constant(np.int64(0)), self._op.constant(np.int64(1)))

    def _unit(self, node: Any, axis: int) -> Any:
        return self._op.normalize_l2(node, self._op.constant(np.array([axis], np.int64)), 1e-12, "max")
