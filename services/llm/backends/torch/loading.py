"""How does a model of the shelf become an encoder or a decoder on a device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.llm.backends.layout import layout_of
from services.models import Shelved
from services.models.checkpoint import Checkpoint
from services.models.json_file import read_map

from .decoder import Decoder
from .device import Place
from .encoder import Classifier, Encoder
from .weights import Weights, num_bytes


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A checkpoint and its settings, its weights ready to go to a place."""

    config: Mapping[str, Any]
    weights: Weights

    def encoder(self) -> Encoder:
        """A BERT-like encoder."""
        encoder = Encoder(self.weights, layout_of(self.config))
        self.weights.place.settle()
        return encoder

    def classifier(self) -> Classifier:
        """What stands on top of an encoder that scores pairs."""
        return Classifier(self.weights, layout_of(self.config))

    def decoder(self) -> Decoder:
        """A causal model."""
        decoder = Decoder(self.weights, self.config)
        self.weights.place.settle()
        return decoder


def load(model: Shelved, place: Place) -> Loaded:
    """The files of a model.

    Raises:
        BadRequest: they are broken.
        TooLarge: the weights do not fit the device.
    """
    checkpoint = Checkpoint(model.path / model.card.weights)
    # A processor's memory was looked at before, and whoever said to load all the same is heard.
    if place.is_cuda:
        place.check_fits(num_bytes(checkpoint, place), f"the model '{model.card.name}'")
    return Loaded(read_map(model.path / "config.json"), Weights(checkpoint, place))
