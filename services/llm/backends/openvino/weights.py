"""Which constants of an OpenVINO graph are a model's weights."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from services.models.checkpoint import Checkpoint

Kind = Literal["float", "int8"]


class Weights:
    """The tensors of a checkpoint as constants that lie in the mapped file wherever they can.

    Args:
        kind: ``int8`` turns matrices into int8 with one scale for each output, which lets the runtime
            multiply in int8; norms and biases stay as they are.
    """

    def __init__(self, checkpoint: Checkpoint, kind: Kind) -> None:
        import openvino
        import openvino.opset15 as opset

        self._ov, self._op = openvino, opset
        self._checkpoint, self._kind = checkpoint, kind

    def vector(self, name: str) -> Any:
        """A norm's weights or a bias, as float32."""
        return self._op.constant(self._checkpoint.float32(name), shared_memory=True)

    def matrix(self, name: str) -> Any:
        """A layer's weights [out, in], as what multiplies float32."""
        return self._packed(name) if self._kind == "int8" else self._float(name)

    def _float(self, name: str) -> Any:
        bits, dtype = self._checkpoint.bits(name), self._checkpoint.entry(name).dtype
        if dtype == "BF16":
            tensor = self._ov.Tensor(bits, list(bits.shape), self._ov.Type.bf16)
            return self._op.convert(self._op.constant(tensor, shared_memory=True), "f32")
        if dtype == "F16":
            return self._op.convert(self._op.constant(bits, shared_memory=True), "f32")
        if dtype == "F32":
            return self._op.constant(bits, shared_memory=True)
        return self._op.constant(self._checkpoint.float32(name), shared_memory=True)

    def _packed(self, name: str) -> Any:
        values = self._checkpoint.float32(name)
        scales = np.maximum(np.abs(values).max(axis=1, keepdims=True), 1e-12) / 127
        packed = self._op.constant(np.round(values / scales).astype(np.int8))
        return self._op.multiply(self._op.convert(packed, "f32"), self._op.constant(scales.astype(np.float32)))
