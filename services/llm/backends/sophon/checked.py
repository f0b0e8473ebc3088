"""Does a device get what its graphs want: asked before the vendor's library sees it.

That library ends the process on an unknown graph, computes from old memory when an input is missing, and
gives zeros without an error: so nothing reaches it that is not exactly right, and nothing leaves that is no number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from clients.errors import BackendError, BadRequest
from clients.reading import nearest

from .port import Driver, Graph, Spec


class Checked:
    """A driver that refuses what its library would take wrongly.

    Raises:
        BadRequest: from ``keep`` and ``run``: an unknown graph, a missing or unknown input, a wrong shape or dtype.
        BackendError: from ``run``: the device gave something that is no number.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.graphs = driver.graphs
        self._kept: dict[str, set[str]] = {}

    def keep(self, graph: str, arrays: Mapping[str, np.ndarray]) -> None:
        """As ``Driver.keep``."""
        specs = {spec.name: spec for spec in self._graph(graph).inputs}
        for name, array in arrays.items():
            if name not in specs:
                raise BadRequest(f"'{graph}' has no input '{name}'", help=nearest(name, specs))
            _fits(graph, specs[name], array)
        self._driver.keep(graph, arrays)
        self._kept.setdefault(graph, set()).update(arrays)

    def run(self, graphs: Sequence[str], arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """As ``Driver.run``."""
        found = [self._graph(name) for name in graphs]
        used: set[str] = set()
        for place, graph in enumerate(found):
            used |= self._inputs(graph, arrays, found[place - 1] if place else None)
        if spare := sorted(set(arrays) - used):
            raise BadRequest(f"no graph of {', '.join(graphs)} has an input '{spare[0]}'")
        outputs = self._driver.run(graphs, arrays)
        for spec, output in zip(found[-1].outputs, outputs, strict=True):
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
            elif spec.name in arrays:
                _fits(graph.name, spec, arrays[spec.name])
                used.add(spec.name)
            elif spec.name not in self._kept.get(graph.name, ()):
                raise BadRequest(f"'{graph.name}' lacks its input '{spec.name}'")
        return used

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
