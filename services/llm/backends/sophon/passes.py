"""How does a batch of texts go through a compiled model, on whichever device is free."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from clients.errors import BackendError, BadRequest
from services.models.bundle import Bundle, Net

from .device import Device
from .inputs import fixed
from .options import Options
from .plan import plan
from .pool import Pool

IDS, LAST = "input_ids", "last_index"


class Outputs(Protocol):
    """A compiled model, however it is cut into graphs.

    Attributes:
        num_devices: passes that run at a time.
    """

    num_devices: int

    @property
    def budget_tokens(self) -> int:
        """Tokens that a pass can hold with more than one text in it; 1 where every text goes alone."""
        ...

    def outputs(self, texts: Sequence[np.ndarray]) -> np.ndarray:
        """What the model gives for each text, float32 [n, width].

        Args:
            texts: int32 [num_tokens] each.

        Raises:
            TooLarge: a text is longer than the longest net.
            BackendError: the device failed, or gave no numbers.
        """
        ...

    def close(self) -> None:
        """Let go of the devices."""
        ...


class Passes:
    """A bundle on its devices.

    Args:
        bundle: what was compiled.
        bmodel: its file.
        options: which devices.
        home: the data directory, below which the simulator lies.

    Attributes:
        num_devices: passes that run at a time.

    Raises:
        BadRequest: the bmodel is not the one that the bundle describes.
        BackendError: a device or its driver is not there, or refuses the file.
    """

    def __init__(self, bundle: Bundle, bmodel: Path, options: Options, home: Path) -> None:
        self._nets = bundle.nets
        places = options.places(bmodel, home)
        self._pool = Pool(places, options.timeout_s, lambda device: prepare(device, bundle, bmodel))
        self.num_devices = len(self._pool)

    @property
    def budget_tokens(self) -> int:
        """As ``Outputs.budget_tokens``."""
        return max((net.batch * net.tokens for net in self._nets if net.batch > 1), default=1)

    def outputs(self, texts: Sequence[np.ndarray]) -> np.ndarray:
        """As ``Outputs.outputs``."""
        found: list[np.ndarray | None] = [None] * len(texts)
        with self._pool.taken() as device:
            for one in plan(self._nets, [len(text) for text in texts]):
                rows = self._pass(device, one.net, [texts[row] for row in one.rows])
                for row, output in zip(one.rows, rows, strict=False):
                    found[row] = output
        return np.stack([row for row in found if row is not None])

    def close(self) -> None:
        """End the processes of the devices."""
        self._pool.close()

    def _pass(self, device: Device, net: Net, texts: Sequence[np.ndarray]) -> np.ndarray:
        ids = np.zeros((net.batch, net.tokens), np.int32)
        last = np.arange(net.batch, dtype=np.int32) * net.tokens
        for row, text in enumerate(texts):
            ids[row, : len(text)] = text
            last[row] += len(text) - 1
        (output,) = device.run(net.steps, {IDS: ids, LAST: last})
        if not np.any(output[: len(texts)], axis=1).all():
            raise BackendError(
                "the device gave nothing but zeros", help="its memory may be exhausted: bm-smi; ragq doctor sophon"
            )
        return output


def prepare(device: Device, bundle: Bundle, bmodel: Path) -> None:
    """Ask for every net, and put on the device what never changes.

    Raises:
        BadRequest: the bmodel lacks a graph that the bundle names.
    """
    for net in bundle.nets:
        inputs = fixed(net.batch, net.tokens)
        for step in (*net.steps, *net.more):
            graph = device.graphs.get(step)
            if graph is None:
                raise BadRequest(
                    f"{bmodel} has no graph '{step}', which its ragq.json names", help="compile or copy both again"
                )
            if step in net.steps:
                device.keep(step, {spec.name: inputs[spec.name] for spec in graph.inputs if spec.name in inputs})
