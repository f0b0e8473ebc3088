"""What does a SOPHON device have to be able to do, whichever library speaks to it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

# As numpy holds them: 16-bit floats travel as their bits.
ARRAYS: dict[str, np.dtype[Any]] = {
    "float32": np.dtype(np.float32), "int32": np.dtype(np.int32), "uint32": np.dtype(np.uint32),
    "float16": np.dtype(np.uint16), "bfloat16": np.dtype(np.uint16),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spec:
    """A tensor of a graph; ``dtype`` is a word of ``ARRAYS``."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def array(self) -> np.dtype[Any]:
        """The dtype that numpy holds it in."""
        return ARRAYS[self.dtype]

    @property
    def num_bytes(self) -> int:
        """Of the whole tensor."""
        return math.prod(self.shape) * self.array.itemsize


@dataclass(frozen=True, slots=True)
class Graph:
    """A net in a bmodel.

    Attributes:
        is_dynamic: inputs may be shorter than their shapes.
    """

    name: str
    inputs: tuple[Spec, ...]
    outputs: tuple[Spec, ...]
    is_dynamic: bool = False


@dataclass(frozen=True, slots=True)
class Cells:
    """The memory of an answer, and how far it is filled.

    Attributes:
        number: of the memory.
        row: where the keys and values of a pass go.
    """

    number: int
    row: int


class Driver(Protocol):
    """A bmodel on a device, in a process that has no other."""

    @property
    def graphs(self) -> Mapping[str, Graph]:
        """What is in the bmodel, by name."""
        ...

    def keep(self, graph: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Put inputs that never change on the device, once."""
        ...

    def reserve(self, number: int) -> None:
        """Lay out a memory for an answer, of zeros: all that ``cells.layout`` tells."""
        ...

    def release(self, number: int) -> None:
        """Forget what an answer remembered."""
        ...

    def run(
        self, graphs: Sequence[str], arrays: Mapping[str, np.ndarray], cells: Cells | None = None
    ) -> list[np.ndarray]:
        """Run graphs one after the other; the first output of each is the first input of the next.

        Args:
            graphs: their names.
            arrays: the inputs by name, for whichever graph has one of that name; kept ones need not be named, and
                those of a memory cannot.
            cells: where keys and values are taken from and put, for graphs that have them.

        Returns:
            The outputs of the last graph, in their order, without those that go to a memory.
        """
        ...

    def close(self) -> None:
        """Let go of the device."""
        ...
