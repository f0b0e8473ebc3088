"""A bmodel through BMRuntime's C interface: on a card without SAIL, or in the simulator of the chip without a card.

Which of the two is decided by the libraries alone: those of libsophon drive the card, those of TPU-MLIR simulate it.
The structures are written from the public BMRuntime manual, chapter 5. The C code ends the process on
much that is wrong, so this runs in a child process.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from ctypes import POINTER, Structure, byref, c_bool, c_char_p, c_int, c_void_p
from pathlib import Path
from typing import Any

import numpy as np

from clients.errors import BackendError

from .port import Graph, Spec

MAX_DIMENSIONS = 8
# bm_data_type_e
DTYPES = {0: "float32", 1: "float16", 6: "int32", 7: "uint32", 8: "bfloat16"}
SYSTEM = Path("/opt/sophon/libsophon-current/lib")
NAMES = ("libbmlib.so", "libbmrt.so")


class _Shape(Structure):
    _fields_ = (("num_dims", c_int), ("dims", c_int * MAX_DIMENSIONS))


class _Stage(Structure):
    _fields_ = (
        ("input_shapes", POINTER(_Shape)), ("output_shapes", POINTER(_Shape)),
        ("input_mems", c_void_p), ("output_mems", c_void_p),
    )  # fmt: skip


class _Net(Structure):
    _fields_ = (
        ("name", c_char_p), ("is_dynamic", c_bool),
        ("input_num", c_int), ("input_names", POINTER(c_char_p)), ("input_dtypes", POINTER(c_int)),
        ("input_scales", c_void_p),
        ("output_num", c_int), ("output_names", POINTER(c_char_p)), ("output_dtypes", POINTER(c_int)),
        ("output_scales", c_void_p),
        ("stage_num", c_int), ("stages", POINTER(_Stage)),
    )  # fmt: skip


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
        self._kept: dict[str, dict[str, np.ndarray]] = {}

    def keep(self, graph: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Remember inputs; this interface takes them from the host at each pass."""
        self._kept.setdefault(graph, {}).update(arrays)

    def run(self, graphs: Sequence[str], arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """As ``Driver.run``."""
        outputs: list[np.ndarray] = []
        for name in graphs:
            given = {**self._kept.get(name, {}), **arrays}
            first = {self.graphs[name].inputs[0].name: outputs[0]} if outputs else {}
            outputs = self._launch(self.graphs[name], given | first)
        return outputs

    def close(self) -> None:
        """Destroy the runtime; a process that ends without this is killed by a fault in it."""
        self._rt.bmrt_destroy(self._runtime)
        self._lib.bm_dev_free(self._handle)

    def _launch(self, graph: Graph, arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        inputs = [np.ascontiguousarray(arrays[spec.name]) for spec in graph.inputs]
        outputs = [np.empty(spec.shape, spec.array) for spec in graph.outputs]
        in_shapes = (_Shape * len(inputs))(*map(_shape, inputs))
        out_shapes = (_Shape * len(outputs))()
        done = self._rt.bmrt_launch_data(
            self._runtime, graph.name.encode(), _pointers(inputs), in_shapes, len(inputs),
            _pointers(outputs), out_shapes, len(outputs), c_bool(True),  # noqa: FBT003 - the C interface's own
        )  # fmt: skip
        if not done or self._lib.bm_thread_sync(self._handle):
            raise BackendError(f"the device could not run '{graph.name}'")
        return outputs

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
    rt.bmrt_load_bmodel.restype = rt.bmrt_launch_data.restype = c_bool
    rt.bmrt_get_network_info.restype = POINTER(_Net)
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


def _shape(array: np.ndarray) -> _Shape:
    return _Shape(array.ndim, (c_int * MAX_DIMENSIONS)(*array.shape))


def _pointers(arrays: Sequence[np.ndarray]) -> Any:
    return (c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))
