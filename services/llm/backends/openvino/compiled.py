"""How does a graph run on the processor's threads: many passes at a time, or one on all of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from queue import SimpleQueue
from typing import Any, Literal

import numpy as np

from clients.errors import BackendError, ConfigError

log = logging.getLogger(__name__)

Dtype = Literal["auto", "fp32", "bf16", "fp16", "int8"]
Arrays = Mapping[str, np.ndarray]

# A second layout of the threads has weights of its own: up to this size it is worth its memory.
SECOND_LAYOUT_BYTES = 512 << 20
# Threads of a pass of a model that is too large for two layouts.
LARGE_THREADS = 4
WEIGHT_BYTES = {"fp32": 4, "bf16": 2, "int8": 1}


def resolve(dtype: Dtype, name: str) -> Dtype:
    """What ``auto`` stands for on this processor, and what it computes when it cannot do what is asked.

    Raises:
        ConfigError: fp16, which no processor here multiplies faster than fp32.
    """
    if dtype == "fp16":
        raise ConfigError(f"'{name}': dtype fp16 is for graphics cards", help="auto, fp32, bf16 or int8")
    if dtype == "auto":
        return "bf16" if _can_bf16() else "fp32"
    if dtype == "bf16" and not _can_bf16():
        log.warning("'%s' is computed in fp32: this processor does not multiply bf16", name)
        return "fp32"
    return dtype


class Compiled:
    """A graph, compiled for this processor.

    Args:
        graph: ``openvino.Model``.
        dtype: from ``resolve``.
        threads: processor threads that it may use.
        name: of the model, for messages.

    Attributes:
        num_streams: passes that run at a time.

    Raises:
        BackendError: the runtime refuses the graph.
    """

    def __init__(self, graph: Any, dtype: Dtype, threads: int, name: str) -> None:
        self._name = name
        is_large = _num_weights(graph) * WEIGHT_BYTES[dtype] > SECOND_LAYOUT_BYTES
        self.num_streams = max(1, threads // LARGE_THREADS) if is_large else threads
        self._narrow = self._requests(graph, dtype, self.num_streams, threads)
        has_wide = self.num_streams > 1 and not is_large
        self._wide = self._requests(graph, dtype, 1, threads) if has_wide else self._narrow

    @contextmanager
    def outputs(self, inputs: Arrays, *, is_alone: bool = False) -> Iterator[Arrays]:
        """One pass; waits while all streams are in use.

        Args:
            inputs: by name.
            is_alone: nothing else runs: take all threads.

        Yields:
            The outputs by name, valid inside the block only.

        Raises:
            BackendError: the runtime failed.
        """
        requests = self._wide if is_alone else self._narrow
        request = requests.get()
        try:
            yield request.infer(inputs, share_inputs=True, share_outputs=True)
        except RuntimeError as error:
            raise BackendError(f"OpenVINO could not run '{self._name}': {error}") from error
        finally:
            requests.put(request)

    def close(self) -> None:
        """Let go of the graph; no pass is under way."""
        for requests in (self._narrow, self._wide):
            while not requests.empty():
                requests.get()

    def _requests(self, graph: Any, dtype: Dtype, streams: int, threads: int) -> SimpleQueue[Any]:
        import openvino

        try:
            compiled = openvino.Core().compile_model(graph, "CPU", _settings(dtype, streams, threads))
        except RuntimeError as error:
            raise BackendError(f"OpenVINO could not compile '{self._name}': {error}") from error
        requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(streams):
            requests.put(compiled.create_infer_request())
        return requests


def _settings(dtype: Dtype, streams: int, threads: int) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": "bf16" if dtype != "fp32" and _can_bf16() else "f32",
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,  # several processes share the cores
    }
    # Coarser groups are faster and less exact: with 128 the mean cosine to fp32 is 0.999.
    return settings | ({"DYNAMIC_QUANTIZATION_GROUP_SIZE": 128} if dtype == "int8" else {})


def _can_bf16() -> bool:
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _num_weights(graph: Any) -> int:
    return sum(prod(node.get_output_shape(0)) for node in graph.get_ops() if node.get_type_name() == "Constant")
