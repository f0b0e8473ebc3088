"""Does a device get what its graphs want: asked before the vendor's library sees it.

That library ends the process on an unknown graph, computes from old memory when an input is missing, and
gives zeros without an error: so nothing reaches it that is not exactly right, and nothing leaves that is no number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from clients.errors import BackendError, BadRequest
from clients.reading import nearest

from .cells import given, layout, taken
from .port import Cells, Driver, Graph, Spec


class Checked:
    """A driver that refuses what its library would take wrongly.

    Raises:
        BadRequest: from ``keep`` and ``run``: an unknown graph, a missing or unknown input, a wrong shape or dtype, no
            memory, or a row that it does not have.
        BackendError: from ``run``: the device gave something that is no number, or the memory is gone.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.graphs = driver.graphs
        self._kept: dict[str, set[str]] = {}
        self._layout = layout(driver.graphs.values())
        self._reserved: set[int] = set()

    def keep(self, graph: str, arrays: Mapping[str, np.ndarray]) -> None:
        """As ``Driver.keep``."""
        specs = {spec.name: spec for spec in self._graph(graph).inputs}
        for name, array in arrays.items():
            if name not in specs:
                raise BadRequest(f"'{graph}' has no input '{name}'", help=nearest(name, specs))
            _fits(graph, specs[name], array)
        self._driver.keep(graph, arrays)
        self._kept.setdefault(graph, set()).update(arrays)

    def reserve(self, number: int) -> None:
        """As ``Driver.reserve``."""
        if not self._layout or number in self._reserved:
            raise BadRequest(f"there is no memory {number} to be had: the model has none, or it is taken")
        self._driver.reserve(number)
        self._reserved.add(number)

    def release(self, number: int) -> None:
        """As ``Driver.release``; of one that a new start took away, nothing is left to forget."""
        if number in self._reserved:
            self._reserved.remove(number)
            self._driver.release(number)

    def run(
        self, graphs: Sequence[str], arrays: Mapping[str, np.ndarray], cells: Cells | None = None
    ) -> list[np.ndarray]:
        """As ``Driver.run``."""
        found = [self._graph(name) for name in graphs]
        used: set[str] = set()
        for place, graph in enumerate(found):
            used |= self._inputs(graph, arrays, found[place - 1] if place else None)
            self._remembers(graph, cells)
        if spare := sorted(set(arrays) - used):
            raise BadRequest(f"no graph of {', '.join(graphs)} has an input '{spare[0]}'")
        outputs = self._driver.run(graphs, arrays, cells)
        specs = [spec for spec in found[-1].outputs if not given(spec)]
        for spec, output in zip(specs, outputs, strict=True):
            _is_finite(graphs[-1], spec, output)
        return outputs

    def close(self) -> None:
        """As ``Driver.close``."""
        self._driver.close()

    def _inputs(self, graph: Graph, arrays: Mapping[str, np.ndarray], before: Graph | None) -> set[str]:
        used = set()
        for place, spec in enumerate(graph.inputs):
            if not place and before is not None:
                _follows(before, graph)
            elif taken(spec):
                continue
            elif spec.name in arrays:
                _fits(graph.name, spec, arrays[spec.name])
                used.add(spec.name)
            elif spec.name not in self._kept.get(graph.name, ()):
                raise BadRequest(f"'{graph.name}' lacks its input '{spec.name}'")
        return used

    def _remembers(self, graph: Graph, cells: Cells | None) -> None:
        """Whether what the graph takes from and gives to a memory is there, and fits."""
        rows = [spec.shape[1] for spec in graph.outputs if given(spec)]
        if not rows:
            return
        if cells is None:
            raise BadRequest(f"'{graph.name}' lacks a memory")
        if cells.number not in self._reserved:
            raise BackendError("the device was started anew, and what the answer had read is gone", help="ask again")
        most = min(spec.shape[1] for spec in self._layout.values())
        if cells.row < 0 or cells.row + max(rows) > most:
            raise BadRequest(f"'{graph.name}' wants rows {cells.row} to {cells.row + max(rows)} of {most}")

    def _graph(self, name: str) -> Graph:
        if name not in self.graphs:
            raise BadRequest(f"the bmodel has no graph '{name}'", help=nearest(name, self.graphs))
        return self.graphs[name]


def _fits(graph: str, spec: Spec, array: np.ndarray) -> None:
    if array.shape != spec.shape:
        raise BadRequest(f"'{graph}' wants '{spec.name}' as {list(spec.shape)}, not {list(array.shape)}")
    if array.dtype != spec.array:
        raise BadRequest(f"'{graph}' wants '{spec.name}' as {spec.array}, not {array.dtype}")


def _follows(before: Graph, graph: Graph) -> None:
    one, other = before.outputs[0], graph.inputs[0]
    if (one.shape, one.dtype) != (other.shape, other.dtype):
        raise BadRequest(f"'{graph.name}' cannot follow '{before.name}': {one} is not {other}")


def _is_finite(graph: str, spec: Spec, output: np.ndarray) -> None:
    if not np.isfinite(widened(output, spec.dtype)).all():
        raise BackendError(
            f"'{graph}' gave values that are no numbers in '{spec.name}'",
            help="seen with f16 models that overflow (compile with bf16), and with chips that lack voltage",
        )


def widened(values: np.ndarray, dtype: str) -> np.ndarray:
    """Values of a device as float32, or as whole numbers where they are."""
    if dtype == "bfloat16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    if dtype == "float16":
        return values.view(np.float16).astype(np.float32)
    return values
