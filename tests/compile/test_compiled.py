"""What the compiler makes of a checkpoint computes what torch computes: bit for bit as the chip would, simulated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from clients.errors import BadRequest
from compile.tools import Tools
from services.llm.backends.sophon.device import Device, Place
from services.llm.backends.sophon.inputs import fixed
from services.models.bundle import BMODEL, read_bundle
from services.models.checkpoint import Checkpoint

from .checkpoints import as_bf16
from .small_bundles import GOLDEN, cosine

pytestmark = [pytest.mark.tpusim, pytest.mark.timeout(300)]
TEXTS = GOLDEN["texts"]


def opened(bundle: Path, tools: Tools) -> Iterator[Device]:
    device = Device(Place(bundle / BMODEL, "runtime", libraries=tools.libraries))
    for net in read_bundle(bundle).nets:
        device.keep(net.steps[0], fixed(net.batch, net.tokens))
    yield device
    device.close()


@pytest.fixture(scope="module")
def embedding(embed_bundle: Path, tools: Tools) -> Iterator[Device]:
    yield from opened(embed_bundle, tools)


@pytest.fixture(scope="module")
def reranking(rerank_bundle: Path, tools: Tools) -> Iterator[Device]:
    yield from opened(rerank_bundle, tools)


def passed(device: Device, graph: str, tokens: int, *texts: dict) -> np.ndarray:
    """The output of a pass over texts that lie at the beginning of their rows."""
    ids = np.full((len(texts), tokens), 7, np.int32)
    for row, text in enumerate(texts):
        ids[row, : len(text["ids"])] = text["ids"]
    last = np.array([row * tokens + len(text["ids"]) - 1 for row, text in enumerate(texts)], np.int32)
    (output,) = device.run([graph], {"input_ids": ids, "last_index": last})
    return output


@pytest.mark.parametrize(
    ("graph", "tokens", "number"), [("embed_s16", 16, 1), ("embed_s16", 16, 2), ("embed_s32", 32, 3)]
)
def test_a_vector_is_that_of_torch_whatever_pads_the_row(embedding, graph, tokens, number):
    text = TEXTS[number]
    (vector,) = passed(embedding, graph, tokens, text)
    assert cosine(vector, np.array(text["vector"])) >= 0.999


def test_both_rows_of_a_batch_are_right(embedding):
    vectors = passed(embedding, "embed_b2_s16", 16, TEXTS[1], TEXTS[0])
    for vector, text in zip(vectors, (TEXTS[1], TEXTS[0]), strict=True):
        assert cosine(vector, np.array(text["vector"])) >= 0.999


@pytest.mark.parametrize("number", [2, 3])
def test_the_share_of_yes_is_that_of_torch(reranking, number):
    text = TEXTS[number]
    ((no, yes),) = passed(reranking, "rerank_s32", 32, text)
    assert 1 / (1 + np.exp(no - yes)) == pytest.approx(text["p_yes"], abs=0.02)


def test_the_weights_of_all_lengths_are_stored_once(embed_bundle):
    assert [(net.batch, net.tokens) for net in read_bundle(embed_bundle).nets] == [(1, 16), (2, 16), (1, 32)]
    checkpoint = Checkpoint(embed_bundle.parent / "checkpoint" / "model.safetensors")
    row = checkpoint.float32("embed_tokens.weight")[7]
    assert (embed_bundle / BMODEL).read_bytes().count(as_bf16(row).tobytes()) == 1


def test_a_mask_with_one_row_for_two_texts_is_refused_by_us(embedding):
    mask = fixed(1, 16)["attention_mask"]
    with pytest.raises(BadRequest, match=r"wants 'attention_mask' as \[2, 1, 16, 16\], not \[1, 1, 16, 16\]"):
        embedding.keep("embed_b2_s16", {"attention_mask": mask})
