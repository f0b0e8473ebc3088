"""How does a chat model on a device read: a prompt at once, then token after token, remembering what it read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from clients.errors import BackendError
from services.models.bundle import Bundle, Net
from services.service import Call

from .device import Device
from .inputs import further
from .options import Options
from .passes import IDS, LAST, prepare
from .plan import shortest
from .pool import Pool
from .port import Cells


class Recalls:
    """A chat model on its devices, each with memories for several answers.

    Args:
        bundle: what was compiled.
        bmodel: its file.
        options: which devices, and how many answers on each.
        home: the data directory, below which the simulator lies.

    Raises:
        BadRequest: the bmodel is not the one that the bundle describes.
        BackendError: a device or its driver is not there, or refuses the file.
    """

    def __init__(self, bundle: Bundle, bmodel: Path, options: Options, home: Path) -> None:
        self._nets = bundle.nets
        places = options.places(bmodel, home)
        self._pool = Pool(places, options.timeout_s, lambda device: prepare(device, bundle, bmodel), options.answers)

    @contextmanager
    def lent(self, call: Call) -> Iterator[Recall]:
        """A memory for one answer; waits for a device that has one free.

        Raises:
            Cancelled, DeadlineExceeded: the caller did not wait for it.
        """
        with self._pool.lent(call) as device:
            number = device.reserve()
            try:
                yield Recall(device, number, self._nets)
            finally:
                device.release(number)

    def close(self) -> None:
        """End the processes of the devices."""
        self._pool.close()


class Recall:
    """One answer as it grows: a ``Reader`` without branches.

    Args:
        device: that has its memory.
        number: of the memory.
        nets: of the model.
    """

    def __init__(self, device: Device, number: int, nets: Sequence[Net]) -> None:
        self._device, self._number, self._nets = device, number, nets
        self._num_read = 0

    def read(self, prompt: Sequence[int]) -> np.ndarray:
        """As ``Reader.read``.

        Raises:
            TooLarge: the prompt is longer than the longest net.
            BackendError: the device failed, or was started anew, or gave no numbers.
        """
        net = shortest(self._nets, len(prompt))
        ids = np.zeros((1, net.tokens), np.int32)
        ids[0, : len(prompt)] = prompt
        found = self._logits(net.steps, {IDS: ids, LAST: np.array([len(prompt) - 1], np.int32)})
        self._num_read = len(prompt)
        return found

    def expand(self, parents: Sequence[int], tokens: Sequence[int]) -> np.ndarray:
        """As ``Reader.expand``, for the one continuation that there is; errors as of ``read``."""
        (token,) = tokens
        net = shortest(self._nets, self._num_read + 1)
        found = self._logits(net.more, further(token, self._num_read, net.tokens))
        self._num_read += 1
        return found[None]

    def _logits(self, graphs: Sequence[str], arrays: dict[str, np.ndarray]) -> np.ndarray:
        (logits,) = self._device.run(graphs, arrays, Cells(self._number, self._num_read))
        if not logits.any():
            raise BackendError(
                "the device gave nothing but zeros", help="its memory may be exhausted: bm-smi; ragq doctor sophon"
            )
        first: np.ndarray = logits[0]
        return first
