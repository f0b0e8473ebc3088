"""The part of SAIL that we call, over the simulator of the chip, with the vendor's behaviour and its traps.

Each of these was seen on the real module, which was built once and run on the same simulator:

* ``process`` with arrays takes any numbers for whole ones by way of float32, refuses 16-bit floats and wrong shapes,
  and holds Python's lock for the whole pass;
* an input that is missing is no error: what comes out are zeros;
* an unknown graph ends the process by a fault, and an unknown device ends it by ``exit``;
* ``update_data`` wants exactly the tensor's shape and dtype; ``process`` with tensors lets go of the lock;
* a missing file is a SailEngineError; errors are of ``Exception``, not of RuntimeError;
* the name of the chip is not known in the simulator.

That a tensor may be a part of another, from a number of values on, is read in its source.
"""

from __future__ import annotations

import ctypes
import enum
import math
import os
import signal
from pathlib import Path

import numpy as np

from compile.tools import find
from services.llm.backends.sophon.memory import MemoryRecord
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
    def __init__(self, device: int, runtime: Runtime | None = None) -> None:
        self._device, self.runtime = device, runtime

    def get_target(self) -> str:
        return "Error"


class Tensor:
    """``Tensor(handle, shape, dtype, has_host, has_device)`` of zeros, or ``Tensor(tensor, shape, first)``, a part."""

    def __init__(self, of, shape, *rest) -> None:
        if isinstance(of, Tensor):
            self._spec, (first,) = Spec("", tuple(shape), of._spec.dtype), rest
            if (first + math.prod(shape)) * self._spec.array.itemsize > of._spec.num_bytes:
                raise SailTensorError("size out of range")
            self._is_set = True
            self._block = of._block.part(first * self._spec.array.itemsize, self._spec.num_bytes)
        else:
            dtype, has_host, has_device = rest
            self._spec = Spec("", tuple(shape), dtype.value)
            self._is_set, self._block = not has_host and has_device, of.runtime.block(self._spec.num_bytes)

    def update_data(self, values: np.ndarray) -> None:
        if values.shape != self._spec.shape or values.dtype != self._spec.array:
            raise SailTensorError(f"update_data: {values.shape} {values.dtype} does not match {self._spec}")
        self._block.write(values)
        self._is_set = True

    def asnumpy(self) -> np.ndarray:
        return self._block.read(self._spec.shape, self._spec.array)

    def filled(self) -> MemoryRecord:
        self._is_set = True
        return self._block.record

    def held(self) -> MemoryRecord:
        return self._block.record

    def is_set(self) -> bool:
        return self._is_set

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

    def get_handle(self) -> Handle:
        return Handle(0, self._runtime)

    def create_input_tensors_map(self, graph: str, mode: int) -> dict[str, Tensor]:
        return self._tensors(graph, "inputs")

    def create_output_tensors_map(self, graph: str, mode: int) -> dict[str, Tensor]:
        return self._tensors(graph, "outputs")

    def _tensors(self, graph: str, side: str) -> dict[str, Tensor]:
        specs, everywhere = self._specs(graph, side), (True, True)
        return {
            name: Tensor(self.get_handle(), spec.shape, Dtype(spec.dtype), *everywhere) for name, spec in specs.items()
        }

    def process(self, graph, inputs, outputs=None):
        specs = self._specs(graph, "inputs")
        if outputs is None:
            return self._process_arrays(graph, specs, inputs)
        if set(inputs) != set(specs) or not all(tensor.is_set() for tensor in inputs.values()):
            self._fill(outputs)
            return None
        known = self._runtime.graphs[graph]
        taken = [inputs[spec.name].held() for spec in known.inputs]
        self._runtime.launch(known, taken, [outputs[spec.name].filled() for spec in known.outputs])
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
        held.bmrt_launch_tensor_ex.restype = ctypes.c_bool
        self._runtime._rt = held

    def __exit__(self, *_: object) -> None:
        self._runtime._rt = self._free
