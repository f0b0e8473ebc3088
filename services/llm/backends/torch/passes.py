"""How do the forward passes of several threads share a device, and what when its memory is too small."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import torch

from clients.errors import BackendError

from .device import Place

In = TypeVar("In")
Out = TypeVar("Out")


class Passes:
    """Runs the passes of one model; each thread has a stream of its own, so that they overlap on a GPU.

    Args:
        place: where the model is.
        name: of the model, for messages.
    """

    def __init__(self, place: Place, name: str) -> None:
        self._place = place
        self._name = name
        self._streams = threading.local()

    def run(self, forward: Callable[[Sequence[In]], list[Out]], batch: Sequence[In], *, is_alone: bool) -> list[Out]:
        """Run a batch without gradients, in halves when it does not fit.

        Args:
            forward: the pass; it must have copied its result to the processor when it returns.
            batch: its input.
            is_alone: nothing else waits or runs, so that the pass may use every processor thread.

        Raises:
            BackendError: the device failed, or has no memory for half of the batch.
        """
        self._place.use_threads(is_alone=is_alone)
        try:
            with torch.inference_mode(), self.stream():
                return run_or_halve(forward, batch)
        except RuntimeError as error:
            raise BackendError(f"torch could not run '{self._name}' on {self._place.device}: {error}") from error

    def once(self, work: Callable[[], None]) -> None:
        """Run what is no batch, with every processor thread; may run it twice, so it must be harmless again."""

        def forward(_: Sequence[None]) -> list[None]:
            work()
            return []

        self.run(forward, [None], is_alone=True)

    def stream(self) -> AbstractContextManager[object]:
        """The calling thread's stream."""
        if not self._place.is_cuda:
            return nullcontext()
        if not hasattr(self._streams, "own"):
            self._streams.own = torch.cuda.Stream(self._place.device)
        own: AbstractContextManager[object] = torch.cuda.stream(self._streams.own)
        return own


def run_or_halve(forward: Callable[[Sequence[In]], list[Out]], batch: Sequence[In]) -> list[Out]:
    """Run a batch; when the device's memory is too small for it, once more in two halves.

    Raises:
        BackendError: a half, or the only member, does not fit either.
    """
    try:
        return forward(batch)
    except torch.OutOfMemoryError:
        # Out of the handler first: the error holds the frames, and with them the tensors of the pass.
        middle = len(batch) // 2
    torch.cuda.empty_cache()
    try:
        return [out for part in (batch[:middle], batch[middle:]) if part for out in forward(part)]
    except torch.OutOfMemoryError as error:
        raise BackendError(
            f"out of device memory: {error}", help="lower max_tokens, or let fewer programs use the device"
        ) from error
