"""Which OpenVINO graph is a decoder of Qwen3, Qwen2, Llama or Mistral.

As in the encoder, the graph begins behind the table of word vectors. Rotary positions and masks come as
inputs, so that one graph serves any place in a sequence: a prompt's common beginning is computed once and
its keys and values come in again as ``past``. The last layer works only on the tokens whose vectors are
wanted. Formulas: Touvron et al. 2023 (pre-norm, RMSNorm, SwiGLU), Ainslie et al. 2023 (grouped queries),
Qwen3 (norms of queries and keys).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from services.llm.backends.causal import Causal
from services.models.checkpoint import Checkpoint

from .weights import Weights


def decoder(causal: Causal, checkpoint: Checkpoint, weights: Weights, row: np.ndarray | None = None) -> Any:
    """The decoder as an ``openvino.Model``, its final norm inside.

    Inputs, for n texts of t tokens, of which m each are wanted, behind a past of p tokens; g is the number of
    query heads for each of the k heads of keys:
        ``x`` float32 [n, t, hidden]: word vectors.
        ``cos``, ``sin`` float32 [t, head_width]: the turns of positions p to p + t.
        ``mask`` bool [1, 1, g * t, p + t]: what each token sees.
        ``at`` int32 [n, m]: which tokens are wanted.
        ``last_mask`` bool [n, 1, g * m, p + t]: what those see.
        ``past_k0``, ``past_v0`` and so on, float32 [1, k, p, head_width]: only with ``row``.
    Outputs:
        ``vectors`` float32 [n, m, hidden], L2-normalised; or, with ``row``, ``logit`` float32 [n, m], and
        ``k0``, ``v0`` and so on, float32 [n, k, t, head_width]: keys and values of the new tokens.

    Args:
        causal: the model's shape.
        checkpoint: tells which norms and biases there are.
        weights: the tensors, in the numbers that are multiplied.
        row: float32 [hidden]; its product with a token's vector is the logit.

    Raises:
        BadRequest: a tensor is missing.
    """
    return _Emitter(causal, checkpoint, weights).model(row)


class _Emitter:
    def __init__(self, causal: Causal, checkpoint: Checkpoint, weights: Weights) -> None:
        import openvino
        import openvino.opset15 as opset

        self._ov, self._op = openvino, opset
        self._causal, self._checkpoint, self._weights = causal, checkpoint, weights
        self._group = causal.heads // causal.kv_heads
        self._inputs: list[Any] = []
        self._results: list[Any] = []

    def model(self, row: np.ndarray | None) -> Any:
        op, c = self._op, self._causal
        hidden = self._input("x", [-1, -1, c.hidden], np.float32)
        self._cos = self._input("cos", [-1, c.head_width], np.float32)
        self._sin = self._input("sin", [-1, c.head_width], np.float32)
        self._mask = self._input("mask", [1, 1, -1, -1], np.bool_)
        self._at = self._input("at", [-1, -1], np.int32)
        self._last_mask = self._input("last_mask", [-1, 1, -1, -1], np.bool_)
        self._with_past = row is not None
        for number in range(c.layers):
            hidden = self._layer(hidden, number)
        hidden = self._norm(hidden, "norm")
        if row is None:
            self._result("vectors", op.normalize_l2(hidden, self._numbers(2), 1e-12, "max"))
        else:
            self._result("logit", op.reduce_sum(op.multiply(hidden, op.constant(row)), self._number(2)))
        return self._ov.Model(self._results, self._inputs, "decoder")

    def _layer(self, hidden: Any, number: int) -> Any:
        name = f"layers.{number}."
        is_last = number == self._causal.layers - 1
        normal = self._norm(hidden, name + "input_layernorm")
        keys, values = self._keys(normal, name + "self_attn.", number)
        cos, sin, mask = self._turns(self._cos), self._turns(self._sin), self._mask
        if is_last:
            hidden, normal, mask = self._wanted(hidden), self._wanted(normal), self._last_mask
            cos, sin = self._last_turns(self._cos), self._last_turns(self._sin)
        queries = self._queries(normal, name + "self_attn.", cos, sin)
        mixed = self._attended(queries, keys, values, mask)
        hidden = self._op.add(hidden, self._linear(mixed, name + "self_attn.o_proj"))
        return self._op.add(hidden, self._gated(self._norm(hidden, name + "post_attention_layernorm"), name + "mlp."))

    def _keys(self, normal: Any, name: str, number: int) -> tuple[Any, Any]:
        """Keys and values of the past and of the new tokens, [n, k, p + t, head_width]."""
        op, c = self._op, self._causal
        swap = self._numbers(0, 2, 1, 3)
        keys = self._heads(normal, name + "k_proj", c.kv_heads)
        keys = op.transpose(self._head_norm(keys, name + "k_norm"), swap)
        keys = self._turned(keys, op.unsqueeze(self._cos, self._number(0)), op.unsqueeze(self._sin, self._number(0)))
        values = op.transpose(self._heads(normal, name + "v_proj", c.kv_heads), swap)
        if not self._with_past:
            return keys, values
        self._result(f"k{number}", keys)
        self._result(f"v{number}", values)
        return self._behind_past(f"past_k{number}", keys), self._behind_past(f"past_v{number}", values)

    def _behind_past(self, name: str, new: Any) -> Any:
        op, c = self._op, self._causal
        past = self._input(name, [1, c.kv_heads, -1, c.head_width], np.float32)
        rows = op.gather(op.shape_of(new, "i64"), self._numbers(0), self._number(0))
        shape = op.concat([rows, self._numbers(1, 1, 1)], 0)
        return op.concat([op.broadcast(past, shape, broadcast_spec="BIDIRECTIONAL"), new], 2)

    def _queries(self, normal: Any, name: str, cos: Any, sin: Any) -> Any:
        """Queries in the groups of their keys, [n, k, g * m, head_width]: so keys need not be repeated."""
        op, c = self._op, self._causal
        queries = self._head_norm(self._heads(normal, name + "q_proj", c.heads), name + "q_norm")
        queries = self._turned(op.transpose(queries, self._numbers(0, 2, 1, 3)), cos, sin)
        return op.reshape(queries, self._numbers(0, c.kv_heads, -1, c.head_width), special_zero=True)

    def _attended(self, queries: Any, keys: Any, values: Any, mask: Any) -> Any:
        op, c = self._op, self._causal
        mixed = op.scaled_dot_product_attention(queries, keys, values, mask, causal=False)
        rows = self._numbers(0, c.heads, -1, c.head_width)
        mixed = op.transpose(op.reshape(mixed, rows, special_zero=True), self._numbers(0, 2, 1, 3))
        return op.reshape(mixed, self._numbers(0, 0, c.heads * c.head_width), special_zero=True)

    def _heads(self, normal: Any, name: str, heads: int) -> Any:
        """A projection as [n, t, heads, head_width]."""
        shape = self._numbers(0, 0, heads, self._causal.head_width)
        return self._op.reshape(self._linear(normal, name), shape, special_zero=True)

    def _head_norm(self, heads: Any, name: str) -> Any:
        return self._norm(heads, name) if f"{name}.weight" in self._checkpoint else heads

    def _turned(self, heads: Any, cos: Any, sin: Any) -> Any:
        op, half = self._op, self._causal.head_width // 2
        first, second = op.split(heads, self._number(3), 2).outputs() if half else (heads, heads)
        crossed = op.concat([op.negative(second), first], 3)
        return op.add(op.multiply(heads, cos), op.multiply(crossed, sin))

    def _turns(self, table: Any) -> Any:
        return self._op.unsqueeze(table, self._number(0))

    def _last_turns(self, table: Any) -> Any:
        """[n, 1, m, head_width], those of the wanted tokens."""
        op = self._op
        return op.unsqueeze(op.gather(table, self._at, self._number(0)), self._number(1))

    def _wanted(self, hidden: Any) -> Any:
        return self._op.gather(hidden, self._at, self._number(1), 1)

    def _gated(self, normal: Any, name: str) -> Any:
        gate = self._op.swish(self._linear(normal, name + "gate_proj"))
        return self._linear(self._op.multiply(gate, self._linear(normal, name + "up_proj")), name + "down_proj")

    def _norm(self, node: Any, name: str) -> Any:
        op = self._op
        squares = op.reduce_mean(op.power(node, self._scalar(2.0)), self._numbers(-1), keep_dims=True)
        root = op.sqrt(op.add(squares, self._scalar(self._causal.epsilon)))
        return op.multiply(
            op.multiply(node, op.divide(self._scalar(1.0), root)), self._weights.vector(f"{name}.weight")
        )

    def _linear(self, node: Any, name: str) -> Any:
        matrix = self._weights.matrix(f"{name}.weight")
        product = self._op.matmul(node, matrix, transpose_a=False, transpose_b=True)
        if f"{name}.bias" not in self._checkpoint:
            return product
        return self._op.add(product, self._weights.vector(f"{name}.bias"))

    def _input(self, name: str, shape: list[int], dtype: Any) -> Any:
        self._inputs.append(self._op.parameter(shape, dtype, name=name))
        return self._inputs[-1]

    def _result(self, name: str, node: Any) -> None:
        self._results.append(self._op.result(node, name=name))

    def _number(self, value: int) -> Any:
        return self._op.constant(np.int64(value))

    def _numbers(self, *values: int) -> Any:
        return self._op.constant(np.array(values, np.int64))

    def _scalar(self, value: float) -> Any:
        return self._op.constant(np.float32(value))
