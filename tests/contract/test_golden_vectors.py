"""The real small model gives the vectors of sentence-transformers, which were computed once and are kept here."""

from __future__ import annotations

import numpy as np
import pytest

from clients.config import Config
from services.llm.backends.openvino.embedder import OpenVINOEmbedder
from services.models import Shelf

NAME = "all-minilm-l6-v2"
# The first six and the last number by sentence-transformers 6.2, fp32, normalised.
GOLDEN = {
    "A cat is sitting on a mat.": [0.109802, -0.043365, -0.031243, 0.047287, -0.055447, 0.028861, 0.065834],
    "猫坐在垫子上。": [-0.012193, 0.073682, 0.03948, -0.006663, -0.030699, 0.011524, -0.028317],
}


@pytest.mark.models
def test_exact_vectors_are_those_of_sentence_transformers():
    shelf = Shelf(Config().home)
    if not shelf.has(NAME):
        pytest.skip(f"the model {NAME} is not below {shelf.directory}: ragq models pull {NAME}")
    embedder = OpenVINOEmbedder(shelf.locate(NAME), dtype="fp32")
    vectors = embedder.run(embedder.prepare(list(GOLDEN), "document"))
    for vector, expected in zip(vectors, GOLDEN.values(), strict=True):
        np.testing.assert_allclose(vector[[0, 1, 2, 3, 4, 5, -1]], expected, atol=5e-6)
