"""Bundles of an older layout: a graph for each layer, 16-bit vectors between, and a head of the whole vocabulary.

Their converters were patched copies of the vendor's; what they made goes on working here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from clients.errors import BadRequest, TooLarge
from services.models.bundle import Bundle

from .checked import widened
from .device import Device
from .inputs import HIDDEN_BITS, causal
from .options import Options
from .pool import Pool
from .port import Graph, Spec

WORDS, HEAD, TABLE = "embedding", "lm_head", "embedding.bin"


class OlderPasses:
    """A bundle of blocks on its devices; each text goes alone.

    Args:
        bundle: what is there.
        bmodel: its file; the table of words may lie beside it.
        options: which devices.
        home: the data directory, below which the simulator lies.

    Attributes:
        num_devices: passes that run at a time.

    Raises:
        BadRequest: a graph that the bundle names is not in the bmodel, or there is no table of words.
        BackendError: a device or its driver is not there, or refuses the file.
    """

    budget_tokens = 1

    def __init__(self, bundle: Bundle, bmodel: Path, options: Options, home: Path) -> None:
        self._bundle, self._bmodel = bundle, bmodel
        self._blocks = bundle.nets[0].steps
        self._tokens = bundle.nets[0].tokens
        self._pool = Pool(options.places(bmodel, home), options.timeout_s, self._prepare)
        self.num_devices = len(self._pool)

    def outputs(self, texts: Sequence[np.ndarray]) -> np.ndarray:
        """As ``Outputs.outputs``."""
        with self._pool.taken() as device:
            return np.stack([self._output(device, text) for text in texts])

    def close(self) -> None:
        """End the processes of the devices."""
        self._pool.close()

    def _output(self, device: Device, text: np.ndarray) -> np.ndarray:
        if len(text) > self._tokens:
            raise TooLarge(f"a text has {len(text)} tokens, and the model reads {self._tokens}")
        steps, inputs = self._beginning(device, text)
        hidden = device.run([*steps, *self._blocks], inputs)[0]
        last = hidden.reshape(self._tokens, -1)[len(text) - 1]
        if self._bundle.task == "embed":
            return widened(last, device.graphs[self._blocks[-1]].outputs[0].dtype)
        head = device.graphs[HEAD]
        (logits,) = device.run([HEAD], {head.inputs[0].name: last.reshape(head.inputs[0].shape)})[:1]
        numbers = widened(logits, head.outputs[0].dtype).reshape(-1)
        return numbers[list(self._bundle.answers)] if self._bundle.answers else numbers

    def _beginning(self, device: Device, text: np.ndarray) -> tuple[list[str], dict[str, np.ndarray]]:
        """The graph of the word vectors with its ids, or the vectors from the table beside the bmodel."""
        ids = np.zeros(self._tokens, np.int32)
        ids[: len(text)] = text
        if WORDS in device.graphs:
            spec = device.graphs[WORDS].inputs[0]
            return [WORDS], {spec.name: ids.reshape(spec.shape)}
        spec = device.graphs[self._blocks[0]].inputs[0]
        return [], {spec.name: self._table()[ids].reshape(spec.shape)}

    def _table(self) -> np.ndarray:
        """16-bit values [vocabulary, hidden], mapped."""
        table = np.memmap(self._bmodel.with_name(TABLE), np.uint16, "r")
        return table.reshape(-1, self._bundle.hidden)

    def _prepare(self, device: Device) -> None:
        needed = [*self._blocks, *([] if self._bundle.task == "embed" else [HEAD])]
        for name in needed:
            if name not in device.graphs:
                raise BadRequest(f"{self._bmodel} has no graph '{name}'", help="it is of another layout, or cut short")
        if WORDS not in device.graphs and not self._bmodel.with_name(TABLE).is_file():
            raise BadRequest(f"{self._bmodel} has no graph '{WORDS}', and no {TABLE} lies beside it")
        for name in self._blocks:
            device.keep(name, _fixed(device.graphs[name], self._tokens))


def _fixed(graph: Graph, tokens: int) -> dict[str, np.ndarray]:
    """Positions and mask of a block, by their places: the names differ from converter to converter."""
    _, positions, mask = graph.inputs
    return {
        positions.name: np.arange(tokens, dtype=np.int32).reshape(positions.shape),
        mask.name: _as_numbers(causal(tokens), mask).reshape(mask.shape),
    }


def _as_numbers(mask: np.ndarray, spec: Spec) -> np.ndarray:
    if spec.dtype == "bfloat16":
        return np.where(mask < 0, np.uint16(HIDDEN_BITS), np.uint16(0)).astype(np.uint16)
    if spec.dtype == "float16":
        return mask.astype(np.float16).view(np.uint16)
    return mask
