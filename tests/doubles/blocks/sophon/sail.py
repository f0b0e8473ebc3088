"""SAIL with one small model of the older per-block layout: bfloat16 between its graphs, as on a device.

A block gives each token the mean of those that it sees, and one more; the head multiplies by whole numbers. The
bmodel is a file with the names of its graphs.
"""

from __future__ import annotations

import enum
import os
import time
from pathlib import Path

import numpy as np

TOKENS, HIDDEN, VOCABULARY = 6, 4, 8
TABLE = np.arange(VOCABULARY * HIDDEN, dtype=np.float32).reshape(VOCABULARY, HIDDEN) / 8
HEAD = np.arange(HIDDEN * VOCABULARY, dtype=np.float32).reshape(HIDDEN, VOCABULARY) % 5 - 2


class Dtype(enum.Enum):
    BM_FLOAT32 = 0
    BM_INT32 = 6
    BM_BFLOAT16 = 8


class IOMode(enum.Enum):
    DEVIO = 3


ARRAYS = {Dtype.BM_FLOAT32: np.float32, Dtype.BM_INT32: np.int32, Dtype.BM_BFLOAT16: np.uint16}
STATES = [1, TOKENS, HIDDEN], Dtype.BM_BFLOAT16
BLOCK = {"position_ids": ([1, TOKENS], Dtype.BM_INT32), "attention_mask": ([1, 1, TOKENS, TOKENS], Dtype.BM_BFLOAT16)}


def get_available_tpu_num() -> int:
    return 2


def bits(values: np.ndarray) -> np.ndarray:
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def numbers(bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.uint32) << 16).view(np.float32)


class Tensor:
    def __init__(self, shape: list[int], dtype: Dtype) -> None:
        self.values = np.zeros(shape, ARRAYS[dtype])

    def update_data(self, values: np.ndarray) -> None:
        assert (values.shape, values.dtype) == (self.values.shape, self.values.dtype)
        self.values = values.copy()

    def asnumpy(self) -> np.ndarray:
        return self.values


class Engine:
    def __init__(self, path: str, device: int, mode: IOMode) -> None:
        self._names = Path(path).read_text().split()

    def get_graph_names(self) -> list[str]:
        return self._names

    def _specs(self, graph: str, side: str) -> dict:
        if graph == "embedding":
            return {"input_ids": ([1, TOKENS], Dtype.BM_INT32)} if side == "inputs" else {"words": STATES}
        if graph == "lm_head":
            state, logits = ([1, 1, HIDDEN], Dtype.BM_BFLOAT16), ([1, VOCABULARY], Dtype.BM_BFLOAT16)
            return {"hidden": state} if side == "inputs" else {"logits": logits}
        return {"input_states": STATES, **BLOCK} if side == "inputs" else {"output_states": STATES}

    def get_input_names(self, graph: str) -> list[str]:
        return list(self._specs(graph, "inputs"))

    def get_output_names(self, graph: str) -> list[str]:
        return list(self._specs(graph, "outputs"))

    def get_input_shape(self, graph: str, name: str) -> list[int]:
        return self._specs(graph, "inputs")[name][0]

    def get_output_shape(self, graph: str, name: str) -> list[int]:
        return self._specs(graph, "outputs")[name][0]

    def get_input_dtype(self, graph: str, name: str) -> Dtype:
        return self._specs(graph, "inputs")[name][1]

    def get_output_dtype(self, graph: str, name: str) -> Dtype:
        return self._specs(graph, "outputs")[name][1]

    def create_input_tensors_map(self, graph: str, mode: int) -> dict[str, Tensor]:
        return {name: Tensor(*spec) for name, spec in self._specs(graph, "inputs").items()}

    def create_output_tensors_map(self, graph: str, mode: int) -> dict[str, Tensor]:
        return {name: Tensor(*spec) for name, spec in self._specs(graph, "outputs").items()}

    def process(self, graph: str, inputs: dict[str, Tensor], outputs: dict[str, Tensor]) -> None:
        time.sleep(float(os.environ.get("DOUBLE_SLEEP_S", "0")))
        given = {name: tensor.values for name, tensor in inputs.items()}
        (output,) = outputs.values()
        if graph == "embedding":
            output.update_data(bits(TABLE[given["input_ids"]]))
        elif graph == "lm_head":
            output.update_data(bits(numbers(given["hidden"])[0] @ HEAD))
        else:
            sees = numbers(given["attention_mask"])[0, 0] > -1
            mean = sees @ numbers(given["input_states"])[0] / sees.sum(axis=1, keepdims=True)
            output.update_data(bits(mean + 1)[None])
