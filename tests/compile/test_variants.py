"""Other ways to compile give the same vectors: layer by layer, with 8-bit weights, in f16."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest

from compile.decoder import Shape
from services.llm.backends.sophon.options import Options
from services.llm.backends.sophon.passes import Passes
from services.models.bundle import read_bundle

from .small_bundles import GOLDEN, compiled, cosine, embedding_checkpoint

pytestmark = [pytest.mark.tpusim, pytest.mark.timeout(300)]
TEXT = GOLDEN["texts"][1]


@pytest.mark.parametrize(
    ("dtype", "in_blocks", "steps", "least"),
    [
        ("bf16", True, ("words_s16", "block_0_s16", "block_1_s16", "embed_s16"), 0.9995),
        ("w8", False, ("embed_s16",), 0.999),
        ("f16", False, ("embed_s16",), 0.99999),
    ],
)
def test_the_vector_is_that_of_torch(tools, tmp_path, dtype, in_blocks, steps, least):
    model = embedding_checkpoint(tmp_path / "checkpoint")
    place = compiled(tools, model, tmp_path / "bundle", Shape(1, 16), dtype=dtype, in_blocks=in_blocks)
    bundle = read_bundle(place)
    assert bundle.nets[0].steps == steps
    assert bundle.nets[0].latency_ms > 0
    options = Options("simulator", libraries=str(tools.libraries))
    with closing(Passes(bundle, place / bundle.file, options, tmp_path)) as passes:
        (vector,) = passes.outputs([np.array(TEXT["ids"], np.int32)])
    assert cosine(vector, np.array(TEXT["vector"])) >= least
