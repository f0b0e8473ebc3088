"""What the compiler makes of a checkpoint computes what torch computes: bit for bit as the chip would, simulated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from clients.errors import BadRequest
from compile.tools import Tools
from services.llm.backends.sophon.device import GIVE_WAY, Device, Place
from services.llm.backends.sophon.inputs import fixed
from services.models.bundle import BMODEL, read_bundle
from services.models.checkpoint import Checkpoint

from .checkpoints import as_bf16
from .small_bundles import GOLDEN, cosine

pytestmark = [pytest.mark.tpusim, pytest.mark.timeout(300)]
TEXTS = GOLDEN["texts"]


@contextmanager
def opened(bundle: Path, tools: Tools) -> Iterator[Device]:
    """For as short as it can be: the simulator takes some of a processor while it waits."""
    device = Device(Place(bundle / BMODEL, "runtime", libraries=tools.libraries))
    try:
        for net in read_bundle(bundle).nets:
            device.keep(net.steps[0], fixed(net.batch, net.tokens))
        yield device
    finally:
        device.close()


@pytest.fixture(scope="module")
def vectors(embed_bundle: Path, tools: Tools) -> dict[str, np.ndarray]:
    """What each net gives."""
    with opened(embed_bundle, tools) as device:
        return {
            "padded": passed(device, "embed_s16", 16, TEXTS[1]),
            "full": passed(device, "embed_s16", 16, TEXTS[2]),
            "longer": passed(device, "embed_s32", 32, TEXTS[3]),
            "two": passed(device, "embed_b2_s16", 16, TEXTS[1], TEXTS[0]),
        }


@pytest.fixture(scope="module")
def logits(rerank_bundle: Path, tools: Tools) -> list[np.ndarray]:
    with opened(rerank_bundle, tools) as device:
        return [passed(device, "rerank_s32", 32, TEXTS[number])[0] for number in (2, 3)]


def passed(device: Device, graph: str, tokens: int, *texts: dict) -> np.ndarray:
    """The output of a pass over texts that lie at the beginning of their rows."""
    ids = np.full((len(texts), tokens), 7, np.int32)
    for row, text in enumerate(texts):
        ids[row, : len(text["ids"])] = text["ids"]
    last = np.array([row * tokens + len(text["ids"]) - 1 for row, text in enumerate(texts)], np.int32)
    (output,) = device.run([graph], {"input_ids": ids, "last_index": last})
    return output


@pytest.mark.parametrize(("net", "number"), [("padded", 1), ("full", 2), ("longer", 3)])
def test_a_vector_is_that_of_torch_whatever_pads_the_row(vectors, net, number):
    (vector,) = vectors[net]
    assert cosine(vector, np.array(TEXTS[number]["vector"])) >= 0.999


def test_both_rows_of_a_batch_are_right(vectors):
    for vector, text in zip(vectors["two"], (TEXTS[1], TEXTS[0]), strict=True):
        assert cosine(vector, np.array(text["vector"])) >= 0.999


def test_the_share_of_yes_is_that_of_torch(logits):
    shares = [1 / (1 + np.exp(no - yes)) for no, yes in logits]
    assert shares == pytest.approx([TEXTS[2]["p_yes"], TEXTS[3]["p_yes"]], abs=0.02)


def test_the_weights_of_all_lengths_are_stored_once(embed_bundle):
    assert [(net.batch, net.tokens) for net in read_bundle(embed_bundle).nets] == [(1, 16), (2, 16), (1, 32)]
    checkpoint = Checkpoint(embed_bundle.parent / "checkpoint" / "model.safetensors")
    row = checkpoint.float32("embed_tokens.weight")[7]
    assert (embed_bundle / BMODEL).read_bytes().count(as_bf16(row).tobytes()) == 1


def test_the_threads_of_the_simulator_give_way_to_one_another(embed_bundle, tools):
    with opened(embed_bundle, tools) as device:
        assert GIVE_WAY in Path(f"/proc/{device._process.pid}/maps").read_text()


def test_a_mask_with_one_row_for_two_texts_is_refused_by_us(embed_bundle, tools):
    with opened(embed_bundle, tools) as device, pytest.raises(BadRequest, match=r"as \[2, 1, 16, 16\], not \[1, 1"):
        device.keep("embed_b2_s16", {"attention_mask": fixed(1, 16)["attention_mask"]})
