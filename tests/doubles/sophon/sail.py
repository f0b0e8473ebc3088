"""The part of SAIL that we call, over the simulator of the chip, with the vendor's behaviour and its traps.

Each of these was seen on the real module, which was built once and run on the same simulator:

* ``process`` with arrays takes any numbers for whole ones by way of float32, refuses 16-bit floats and wrong shapes,
  and holds Python's lock for the whole pass;
* an input that is missing is no error: what comes out are zeros;
* an unknown graph ends the process by a fault, and an unknown device ends it by ``exit``;
* ``update_data`` wants exactly the tensor's shape and dtype; ``process`` with tensors lets go of the lock;
* a missing file is a SailEngineError; errors are of ``Exception``, not of RuntimeError;
* the name of the chip is not known in the simulator.
"""

from __future__ import annotations

import ctypes
import enum
import os
import signal
from pathlib import Path

import numpy as np

from compile.tools import find
from services.llm.backends.sophon.port import ARRAYS, Spec
from services.llm.backends.sophon.runtime import Runtime

__version__ = "master(simulated)"


class SailEngineError(Exception):
    pass


class SailTensorError(Exception):
    pass


class Dtype(enum.Enum):
    BM_FLOAT32 = "float32"
    BM_FLOAT16 = "float16"
    BM_BFLOAT16 = "bfloat16"
    BM_INT32 = "int32"
    BM_UINT32 = "uint32"


class IOMode(enum.Enum):
    SYSI = 0
    SYSO = 1
    SYSIO = 2
    DEVIO = 3


def get_available_tpu_num() -> int:
    return int(os.environ.get("DOUBLE_TPUS", "1"))


class Handle:
    def __init__(self, device: int) -> None:
        self._device = device

    def get_target(self) -> str:
        return "Error"


class Tensor:
    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._values: np.ndarray | None = None

    def update_data(self, values: np.ndarray) -> None:
        if values.shape != self._spec.shape or values.dtype != ARRAYS[self._spec.dtype]:
            raise SailTensorError(f"update_data: {values.shape} {values.dtype} does not match {self._spec}")
        self._values = values.copy()

    def asnumpy(self) -> np.ndarray:
        return self.held().copy()

    def held(self) -> np.ndarray:
        return np.zeros(self._spec.shape, ARRAYS[self._spec.dtype]) if self._values is None else self._values

    def is_set(self) -> bool:
        return self._values is not None

    def shape(self) -> list[int]:
        return list(self._spec.shape)

    def dtype(self) -> Dtype:
        return Dtype(self._spec.dtype)


class Engine:
    def __init__(self, path: str, device: int, mode: IOMode) -> None:
        if not 0 <= device < get_available_tpu_num():
            os._exit(1)
        if not Path(path).is_file():
            raise SailEngineError("invalid bmodel")
        # The simulator has one device, whatever its number.
        self._runtime = Runtime(Path(path), 0, find().libraries)

    def get_graph_names(self) -> list[str]:
        return list(self._runtime.graphs)

    def get_input_names(self, graph: str) -> list[str]:
        return list(self._specs(graph, "inputs"))

    def get_output_names(self, graph: str) -> list[str]:
        return list(self._specs(graph, "outputs"))

    def get_input_shape(self, graph: str, name: str) -> list[int]:
        return list(self._specs(graph, "inputs")[name].shape)

    def get_output_shape(self, graph: str, name: str) -> list[int]:
        return list(self._specs(graph, "outputs")[name].shape)

    def get_input_dtype(self, graph: str, name: str) -> Dtype:
        return Dtype(self._specs(graph, "inputs")[name].dtype)

    def get_output_dtype(self, graph: str, name: str) -> Dtype:
        return Dtype(self._specs(graph, "outputs")[name].dtype)

    def create_input_tensors_map(self, graph: str, mode: int) -> dict[str, Tensor]:
        return {name: Tensor(spec) for name, spec in self._specs(graph, "inputs").items()}

    def create_output_tensors_map(self, graph: str, mode: int) -> dict[str, Tensor]:
        return {name: Tensor(spec) for name, spec in self._specs(graph, "outputs").items()}

    def process(self, graph, inputs, outputs=None):
        specs = self._specs(graph, "inputs")
        if outputs is None:
            return self._process_arrays(graph, specs, inputs)
        if set(inputs) != set(specs) or not all(tensor.is_set() for tensor in inputs.values()):
            self._fill(outputs)
            return None
        found = self._runtime.run([graph], {name: tensor.held() for name, tensor in inputs.items()})
        for spec, values in zip(self._runtime.graphs[graph].outputs, found, strict=True):
            outputs[spec.name].update_data(values)
        return None

    def _process_arrays(self, graph, specs, inputs):
        for name, values in inputs.items():
            if name not in specs or values.shape != specs[name].shape:
                raise SailEngineError("bad input")
            if specs[name].dtype in ("float16", "bfloat16"):
                raise SailEngineError("not supported")
        outs = self._specs(graph, "outputs")
        if set(inputs) != set(specs):
            return {name: np.zeros(spec.shape, np.float32) for name, spec in outs.items()}
        cast = {name: values.astype(np.float32).astype(ARRAYS[specs[name].dtype]) for name, values in inputs.items()}
        with LockHeld(self._runtime):
            found = self._runtime.run([graph], cast)
        return {name: values.astype(np.float32) for name, values in zip(outs, found, strict=True)}

    def _fill(self, outputs: dict[str, Tensor]) -> None:
        for tensor in outputs.values():
            tensor.update_data(np.zeros(tensor.shape(), ARRAYS[tensor.dtype().value]))

    def _specs(self, graph: str, side: str) -> dict[str, Spec]:
        if graph not in self._runtime.graphs:
            os.kill(os.getpid(), signal.SIGSEGV)
        return {spec.name: spec for spec in getattr(self._runtime.graphs[graph], side)}

    def __del__(self) -> None:
        if hasattr(self, "_runtime"):
            self._runtime.close()


class LockHeld:
    """The same library, called without letting go of Python's lock."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime, self._free = runtime, runtime._rt

    def __enter__(self) -> None:
        held = ctypes.PyDLL(self._free._name, handle=self._free._handle)
        held.bmrt_launch_data.restype = ctypes.c_bool
        self._runtime._rt = held

    def __exit__(self, *_: object) -> None:
        self._runtime._rt = self._free
