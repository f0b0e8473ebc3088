"""A bmodel through SAIL, the vendor's Python binding, by its Engine and its tensors.

Tensors, not arrays: the call with arrays holds Python's lock for the whole pass and takes no 16-bit floats. What
stays the same lies on the device from the start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clients.errors import BackendError

from .cells import given, layout, row_values, taken
from .port import Cells, Graph, Spec

MANUAL = "https://doc.sophgo.com"
DTYPES = {
    "BM_FLOAT32": "float32", "BM_FLOAT16": "float16", "BM_INT32": "int32", "BM_UINT32": "uint32",
    "BM_BFLOAT16": "bfloat16",
}  # fmt: skip
WORDS = {word: name for name, word in DTYPES.items()}


def import_sail() -> Any:
    """The module ``sophon.sail``.

    Raises:
        BackendError: it is not installed, it is the placeholder of the package index, or it does not fit libsophon.
    """
    try:
        from sophon import sail
    except ModuleNotFoundError as error:
        raise BackendError(
            "SAIL (sophon.sail) is not installed, and no package index has it",
            help=f"build or download it for this machine by the vendor's manual, {MANUAL}; or driver: runtime",
        ) from error
    except ImportError as error:
        raise BackendError(
            f"SAIL does not fit the libsophon of this machine: {error}",
            help="install the libsophon that SAIL was built for, or build SAIL against this one; or driver: runtime",
        ) from error
    if not hasattr(sail, "Engine"):
        raise BackendError(
            "the package 'sophon' here is the empty placeholder of the package index",
            help=f"pip uninstall sophon, then build or download SAIL by the vendor's manual, {MANUAL}",
        )
    return sail


class Sail:
    """A bmodel on one device.

    Args:
        path: of the bmodel.
        device: its number.

    Raises:
        BackendError: as ``import_sail``; there is no such device; or SAIL refuses the file.
    """

    def __init__(self, path: Path, device: int = 0) -> None:
        self._sail = sail = import_sail()
        number = sail.get_available_tpu_num()
        if not 0 <= device < number:
            raise BackendError(f"there is no SOPHON device {device}: SAIL sees {number}", help="ragq doctor sophon")
        if not path.is_file():
            raise BackendError(f"there is no file {path}")
        try:
            self._engine = sail.Engine(str(path), device, sail.IOMode.DEVIO)
        except Exception as error:  # SAIL's errors share no class of ours
            raise BackendError(f"SAIL refuses {path}: {error}", help="ragq doctor sophon") from error
        self.graphs = {name: self._graph(name) for name in self._engine.get_graph_names()}
        self._layout = layout(self.graphs.values())
        self._inputs = {name: self._tensors(graph, "input") for name, graph in self.graphs.items()}
        self._outputs = {name: self._tensors(graph, "output") for name, graph in self.graphs.items()}
        self._memories: dict[int, dict[str, Any]] = {}
        # What the last answer left there is numbers, and no later one looks at them.
        self._spare: list[dict[str, Any]] = []

    def keep(self, graph: str, arrays: Mapping[str, np.ndarray]) -> None:
        """As ``Driver.keep``."""
        for name, array in arrays.items():
            self._inputs[graph][name].update_data(array)

    def reserve(self, number: int) -> None:
        """As ``Driver.reserve``."""
        if not self._spare:
            self._spare.append({name: self._new(spec) for name, spec in self._layout.items()})
        self._memories[number] = self._spare.pop()

    def release(self, number: int) -> None:
        """As ``Driver.release``."""
        self._spare.append(self._memories.pop(number))

    def run(
        self, graphs: Sequence[str], arrays: Mapping[str, np.ndarray], cells: Cells | None = None
    ) -> list[np.ndarray]:
        """As ``Driver.run``; what one graph gives stays on the device for the next."""
        before: Any = None
        for name in graphs:
            graph, (inputs, outputs) = self.graphs[name], self._bound(name, cells)
            for spec in graph.inputs:
                if spec.name in arrays and (before is None or spec is not graph.inputs[0]):
                    inputs[spec.name].update_data(arrays[spec.name])
            if before is not None:
                inputs[graph.inputs[0].name] = before
            self._engine.process(name, inputs, outputs)
            before = outputs[graph.outputs[0].name]
        last, own = self.graphs[graphs[-1]], self._outputs[graphs[-1]]
        return [own[spec.name].asnumpy().reshape(spec.shape).copy() for spec in last.outputs if not given(spec)]

    def close(self) -> None:
        """Let go of the device."""
        self._memories.clear()
        self._spare.clear()
        self._inputs.clear()
        self._outputs.clear()
        del self._engine

    def _bound(self, name: str, cells: Cells | None) -> tuple[dict[str, Any], dict[str, Any]]:
        """A graph's inputs and outputs, those of the memory among them."""
        graph, inputs, outputs = self.graphs[name], dict(self._inputs[name]), dict(self._outputs[name])
        if cells is not None:
            memory = self._memories[cells.number]
            for spec in filter(taken, graph.inputs):
                inputs[spec.name] = self._part(memory[taken(spec)], spec, 0)
            for spec in filter(given, graph.outputs):
                outputs[spec.name] = self._part(memory[given(spec)], spec, cells.row)
        return inputs, outputs

    def _tensors(self, graph: Graph, side: str) -> dict[str, Any]:
        """A graph's own; those of a memory are not made for each graph."""
        specs = graph.inputs if side == "input" else graph.outputs
        own = [spec for spec in specs if not taken(spec) and not given(spec)]
        if len(own) < len(specs):
            return {spec.name: self._new(spec) for spec in own}
        return dict(getattr(self._engine, f"create_{side}_tensors_map")(graph.name, -1))

    def _new(self, spec: Spec) -> Any:
        """A tensor of zeros on the device and nowhere else."""
        dtype = getattr(self._sail.Dtype, WORDS[spec.dtype])
        has_host, has_device = False, True
        return self._sail.Tensor(self._engine.get_handle(), list(spec.shape), dtype, has_host, has_device)

    def _part(self, whole: Any, spec: Spec, row: int) -> Any:
        """Rows of a memory as a tensor; they are not copied."""
        return self._sail.Tensor(whole, list(spec.shape), row * row_values(spec))

    def _graph(self, name: str) -> Graph:
        engine = self._engine
        inputs = tuple(
            Spec(one, tuple(engine.get_input_shape(name, one)), _dtype(engine.get_input_dtype(name, one)))
            for one in engine.get_input_names(name)
        )
        outputs = tuple(
            Spec(one, tuple(engine.get_output_shape(name, one)), _dtype(engine.get_output_dtype(name, one)))
            for one in engine.get_output_names(name)
        )
        return Graph(name, inputs, outputs)


def _dtype(found: Any) -> str:
    word = str(found).rpartition(".")[2]
    if word not in DTYPES:
        raise BackendError(f"the bmodel has tensors of the kind {word}, which is not served")
    return DTYPES[word]
