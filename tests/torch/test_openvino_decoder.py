"""The OpenVINO decoder equals transformers one text at a time: vectors and yes/no scores of every architecture."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="pip install 'ragq[torch]'")

from services.llm.backends.openvino.causal_embedder import OpenVINOCausalEmbedder  # noqa: E402 - needs torch
from services.llm.backends.openvino.yes_no_scorer import OpenVINOYesNo  # noqa: E402 - needs torch

from . import small_models  # noqa: E402 - needs torch

pytestmark = pytest.mark.torch
TEXTS = ["The cat sits on the mat.", "", "Interest rates rose sharply in the last quarter. " * 8, "x"]


def reference_states(model, ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).last_hidden_state[0].numpy()


@pytest.mark.parametrize("kind", small_models.DECODERS)
@pytest.mark.parametrize("role", ["query", "document"])
def test_vectors_are_those_of_transformers_one_by_one(tmp_path, kind, role):
    model, reference = small_models.decoder(tmp_path / "m", kind, is_embedder=True)
    embedder = OpenVINOCausalEmbedder(model, dtype="fp32")
    texts = embedder.prepare(TEXTS, role)
    for text, vector in zip(texts, embedder.run(texts), strict=True):
        last = reference_states(reference, text.ids.tolist())[-1]
        assert float(vector @ last) / float(np.linalg.norm(last)) > 0.999999
        np.testing.assert_allclose(vector, last / np.linalg.norm(last), atol=5e-6)


@pytest.mark.parametrize("kind", small_models.DECODERS)
def test_scores_are_those_of_transformers_one_by_one(tmp_path, kind):
    model, reference = small_models.decoder(tmp_path / "m", kind)
    scorer = OpenVINOYesNo(model, dtype="fp32")
    vocabulary = small_models.small_tokenizer.write(tmp_path / "t")
    yes, no = vocabulary.token_to_id("yes"), vocabulary.token_to_id("no")
    pairs = scorer.prepare([("Where does the cat sit?", text) for text in TEXTS])
    for pair, logit in zip(pairs, scorer.run(pairs), strict=True):
        with torch.no_grad():
            logits = reference(input_ids=torch.tensor([[*pair.shared, *pair.ids.tolist()]])).logits[0, -1]
        assert float(logit) == pytest.approx(float(logits[yes] - logits[no]), abs=1e-4)
