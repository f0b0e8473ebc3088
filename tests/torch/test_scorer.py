"""Scores of the torch backend equal those of transformers one pair at a time, whatever is shared and remembered."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="pip install 'ragq[torch]'")

from services.llm.backends.torch.cross_encoder import TorchCrossEncoder  # noqa: E402 - needs torch
from services.llm.backends.torch.device import Place  # noqa: E402 - needs torch
from services.llm.backends.torch.scorer import Beginnings, YesNoScorer  # noqa: E402 - needs torch
from services.llm.backends.torch.shared import Beginning  # noqa: E402 - needs torch

from . import small_models  # noqa: E402 - needs torch

pytestmark = pytest.mark.torch
CPU = Place(torch.device("cpu"), torch.float32)
QUERY = "Where does the cat sit?"
DOCUMENTS = ["The cat sits on the mat.", "", "Interest rates rose sharply in the last quarter. " * 8, "x"]


def golden(scorer, model, pair) -> float:
    ids = torch.tensor([[*pair.shared, *pair.ids]], dtype=torch.int64)
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0, -1]
    return float(logits[scorer._prompt.yes] - logits[scorer._prompt.no])


def expit(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize("kind", small_models.DECODERS)
def test_scores_are_those_of_transformers_one_by_one(tmp_path, kind):
    model, reference = small_models.decoder(tmp_path / "m", kind)
    scorer = YesNoScorer(model, CPU)
    pairs = scorer.prepare([(QUERY, document) for document in DOCUMENTS])
    assert len(pairs[0].shared) > 20
    expected = [golden(scorer, reference, pair) for pair in pairs]
    for _ in range(2):  # the second time what they share is remembered
        np.testing.assert_allclose(scorer.run(pairs), expected, atol=1e-5)
    np.testing.assert_allclose([scorer.run([pair], is_alone=True)[0] for pair in pairs], expected, atol=1e-5)


@pytest.mark.parametrize("kind", small_models.ENCODERS)
def test_a_cross_encoder_gives_the_logits_of_transformers(tmp_path, kind):
    model, reference = small_models.encoder(tmp_path / "m", kind, is_scorer=True)
    scorer = TorchCrossEncoder(model, CPU)
    pairs = scorer.prepare([("w1 w2", "w3 w4 w5"), ("w1 w2", ""), ("w6", "w7 " * 100), ("w1 w2", "w9")])
    assert [pair.is_cut for pair in pairs] == [False, False, True, False]
    expected = [crossed(reference, pair) for pair in pairs]
    np.testing.assert_allclose(scorer.run(pairs), expected, atol=1e-5)
    np.testing.assert_allclose([scorer.run([pair])[0] for pair in pairs], expected, atol=1e-5)


def crossed(model, pair) -> float:
    ids = torch.from_numpy(pair.ids.astype(np.int64))[None]
    types = (torch.arange(ids.shape[1]) >= pair.second)[None].long() if pair.second else torch.zeros_like(ids)
    named = {"token_type_ids": types} if model.config.model_type in ("bert", "electra") else {}
    with torch.no_grad():
        return float(model(input_ids=ids, **named).logits[0, 0])


def test_bf16_scores_are_near(tmp_path):
    model, _ = small_models.decoder(tmp_path / "m", "qwen3")
    exact, coarse = YesNoScorer(model, CPU), YesNoScorer(model, Place(torch.device("cpu"), torch.bfloat16))
    pairs = exact.prepare([(QUERY, document) for document in DOCUMENTS])
    np.testing.assert_allclose(expit(coarse.run(pairs)), expit(exact.run(pairs)), atol=1e-2)


def test_what_was_not_used_for_longest_is_forgotten():
    beginnings = Beginnings(most=2)
    kept = [Beginning() for _ in range(3)]
    for number in (0, 1):
        beginnings.keep((number,), kept[number])
    assert beginnings.get((0,)) is kept[0]
    beginnings.keep((2,), kept[2])
    assert beginnings.get((0,)) is kept[0]
    assert beginnings.get((1,)) is not kept[1]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_scores_of_the_processor(tmp_path):
    model, _ = small_models.decoder(tmp_path / "m", "qwen3")
    exact, fast = YesNoScorer(model, CPU), YesNoScorer(model, Place(torch.device("cuda"), torch.bfloat16))
    pairs = exact.prepare([(QUERY, document) for document in DOCUMENTS])
    for _ in range(2):
        np.testing.assert_allclose(expit(fast.run(pairs)), expit(exact.run(pairs)), atol=1e-2)
