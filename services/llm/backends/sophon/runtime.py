"""A bmodel through BMRuntime's C interface: on a card without SAIL, or in the simulator of the chip without a card.

Which of the two is decided by the libraries alone: those of libsophon drive the card, those of TPU-MLIR simulate it.
The C code ends the process on much that is wrong, so this runs in a child process.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from ctypes import POINTER, byref, c_bool, c_char_p, c_void_p
from pathlib import Path
from typing import Any

import numpy as np

from clients.errors import BackendError

from .cells import given, layout, row_values, taken
from .memory import Block, MemoryRecord, NetRecord, TensorRecord, allocated, pointer, prototype, tensor
from .port import Cells, Graph, Spec

# bm_data_type_e
DTYPES = {0: "float32", 1: "float16", 6: "int32", 7: "uint32", 8: "bfloat16"}
NUMBERS = {word: number for number, word in DTYPES.items()}
SYSTEM = Path("/opt/sophon/libsophon-current/lib")
NAMES = ("libbmlib.so", "libbmrt.so")


class Runtime:
    """A bmodel on one device.

    Args:
        path: of the bmodel.
        device: its number.
        libraries: the directory of libbmlib and libbmrt; None is that of libsophon.

    Raises:
        BackendError: no library, no device, or a bmodel that the runtime refuses.
    """

    def __init__(self, path: Path, device: int = 0, libraries: Path | None = None) -> None:
        self._lib, self._rt = _libraries(libraries or SYSTEM)
        self._handle = c_void_p()
        if self._lib.bm_dev_request(byref(self._handle), device):
            raise BackendError(f"there is no SOPHON device {device}", help="bm-smi lists them; ragq doctor sophon")
        self._runtime = c_void_p(self._rt.bmrt_create(self._handle))
        if not self._runtime.value or not self._rt.bmrt_load_bmodel(self._runtime, str(path).encode()):
            raise BackendError(
                f"the runtime refuses {path}", help="was it compiled for this chip? ragq doctor sophon tells"
            )
        self.graphs = {name: self._graph(name) for name in self._names()}
        self._layout = layout(self.graphs.values())
        self._blocks: dict[tuple[str, str], Block] = {}
        self._memories: dict[int, dict[str, Block]] = {}
        # What the last answer left there is numbers, and no later one looks at them.
        self._spare: list[dict[str, Block]] = []

    def keep(self, graph: str, arrays: Mapping[str, np.ndarray]) -> None:
        """As ``Driver.keep``."""
        specs = {spec.name: spec for spec in self.graphs[graph].inputs}
        for name, array in arrays.items():
            self._block(graph, specs[name]).write(array)

    def reserve(self, number: int) -> None:
        """As ``Driver.reserve``."""
        if not self._spare:
            self._spare.append({name: self.block(spec.num_bytes) for name, spec in self._layout.items()})
        self._memories[number] = self._spare.pop()

    def release(self, number: int) -> None:
        """As ``Driver.release``."""
        self._spare.append(self._memories.pop(number))

    def run(
        self, graphs: Sequence[str], arrays: Mapping[str, np.ndarray], cells: Cells | None = None
    ) -> list[np.ndarray]:
        """As ``Driver.run``; what one graph gives stays on the device for the next."""
        before: MemoryRecord | None = None
        for name in graphs:
            graph = self.graphs[name]
            inputs = [] if before is None else [before]
            inputs += [self._input(graph, spec, arrays, cells) for spec in graph.inputs[len(inputs) :]]
            outputs = [self._output(graph, spec, cells) for spec in graph.outputs]
            self.launch(graph, inputs, outputs)
            before = outputs[0]
        last = self.graphs[graphs[-1]]
        return [self._block(last.name, spec).read(spec.shape, spec.array) for spec in last.outputs if not given(spec)]

    def block(self, num_bytes: int) -> Block:
        """New memory on the device."""
        return allocated(self._lib, self._handle, num_bytes)

    def launch(self, graph: Graph, inputs: Sequence[MemoryRecord], outputs: Sequence[MemoryRecord]) -> None:
        """Run a graph on what lies on the device; BackendError where that fails."""
        ins = pointer([_tensor(spec, memory) for spec, memory in zip(graph.inputs, inputs, strict=True)])
        outs = pointer([_tensor(spec, memory) for spec, memory in zip(graph.outputs, outputs, strict=True)])
        done = self._rt.bmrt_launch_tensor_ex(
            self._runtime, graph.name.encode(), ins, len(ins), outs, len(outs),
            c_bool(True), c_bool(False),  # noqa: FBT003 - the C interface's own
        )  # fmt: skip
        if not done or self._lib.bm_thread_sync(self._handle):
            raise BackendError(f"the device could not run '{graph.name}'")

    def close(self) -> None:
        """Destroy the runtime; a process that ends without this is killed by a fault in it."""
        self._rt.bmrt_destroy(self._runtime)
        self._lib.bm_dev_free(self._handle)

    def _input(self, graph: Graph, spec: Spec, arrays: Mapping[str, np.ndarray], cells: Cells | None) -> MemoryRecord:
        if cells is not None and (name := taken(spec)):
            return self._memories[cells.number][name].part(0, spec.num_bytes).record
        block = self._block(graph.name, spec)
        if spec.name in arrays:
            block.write(arrays[spec.name])
        return block.record

    def _output(self, graph: Graph, spec: Spec, cells: Cells | None) -> MemoryRecord:
        if cells is not None and (name := given(spec)):
            first = cells.row * row_values(spec) * spec.array.itemsize
            return self._memories[cells.number][name].part(first, spec.num_bytes).record
        return self._block(graph.name, spec).record

    def _block(self, graph: str, spec: Spec) -> Block:
        key = (graph, spec.name)
        if key not in self._blocks:
            self._blocks[key] = self.block(spec.num_bytes)
        return self._blocks[key]

    def _names(self) -> list[str]:
        names = POINTER(c_char_p)()
        self._rt.bmrt_get_network_names(self._runtime, byref(names))
        return [_word(names[i]) for i in range(self._rt.bmrt_get_network_number(self._runtime))]

    def _graph(self, name: str) -> Graph:
        net = self._rt.bmrt_get_network_info(self._runtime, name.encode()).contents
        stage = net.stages[0]
        inputs = _specs(net.input_num, net.input_names, net.input_dtypes, stage.input_shapes)
        outputs = _specs(net.output_num, net.output_names, net.output_dtypes, stage.output_shapes)
        return Graph(name, inputs, outputs, net.is_dynamic)


def _libraries(directory: Path) -> tuple[Any, Any]:
    """Both libraries, with the types of what we call."""
    try:
        lib, rt = (ctypes.CDLL(str(_library(directory, name)), mode=ctypes.RTLD_GLOBAL) for name in NAMES)
    except OSError as error:
        raise BackendError(
            f"the runtime of SOPHON cannot be loaded: {error}", help="install libsophon; ragq doctor sophon"
        ) from error
    rt.bmrt_create.restype = c_void_p
    rt.bmrt_load_bmodel.restype = rt.bmrt_launch_tensor_ex.restype = c_bool
    rt.bmrt_get_network_info.restype = POINTER(NetRecord)
    prototype(lib)
    return lib, rt


def _library(directory: Path, name: str) -> Path:
    """The file of a library; TPU-MLIR has it with its version only."""
    found = sorted(directory.glob(f"{name}*"))
    return next((path for path in found if path.name == name), found[0] if found else directory / name)


def _specs(number: int, names: Any, dtypes: Any, shapes: Any) -> tuple[Spec, ...]:
    return tuple(
        Spec(_word(names[i]), tuple(shapes[i].dims[: shapes[i].num_dims]), _dtype(dtypes[i])) for i in range(number)
    )


def _dtype(number: int) -> str:
    if number not in DTYPES:
        raise BackendError(f"the bmodel has tensors of the kind {number}, which is not served")
    return DTYPES[number]


def _word(name: bytes | None) -> str:
    return (name or b"").decode(errors="replace")


def _tensor(spec: Spec, memory: MemoryRecord) -> TensorRecord:
    return tensor(NUMBERS[spec.dtype], spec.shape, memory)
