"""The OpenVINO cross-encoder computes what the formulas say, whatever a pair is batched with."""

from __future__ import annotations

import json

import numpy as np
import pytest

from clients.config import Model
from clients.errors import BadRequest, ConfigError
from services.llm.backends.layout import layout_of
from services.llm.backends.openvino.backend import BACKEND
from services.llm.backends.openvino.cross_encoder import OpenVINOCrossEncoder
from services.llm.backends.openvino.encoder import cross_encoder
from services.llm.backends.registry import Site
from services.models import Shelf
from services.models.checkpoint import Checkpoint

from .small_encoder import POSITIONS, logit, write, write_reranker

pytestmark = pytest.mark.process

PAIRS = [("w1 w2", "w3"), ("w1 w2", "w4 w5 w6 w7 w8 w9 w10"), ("w9", "w1 w2 w3"), ("", "w2"), ("w3", "")]


def load(directory, **options):
    shelved = Shelf(directory.parent / "home").locate(str(directory))
    return OpenVINOCrossEncoder(shelved, **({"dtype": "fp32"} | options))


@pytest.mark.parametrize(("model_type", "offset", "typed"), [("bert", 0, True), ("xlm-roberta", 2, False)])
def test_logits_equal_the_formulas_batched_alone_and_on_all_threads(tmp_path, model_type, offset, typed):
    tensors = write_reranker(tmp_path / "m", model_type=model_type)
    scorer = load(tmp_path / "m", threads=2)
    prepared = scorer.prepare(PAIRS)
    assert [bool(pair.second) for pair in prepared] == [typed] * len(PAIRS)
    expected = [logit(tensors, pair.ids.tolist(), second=pair.second, offset=offset) for pair in prepared]
    for scores in (
        scorer.run(prepared),
        [scorer.run([pair])[0] for pair in prepared],
        scorer.run(prepared, is_alone=True),
    ):
        np.testing.assert_allclose(scores, expected, atol=1e-5)
    assert scorer.kind == "logit"


def test_the_document_gives_way_to_the_query(tmp_path):
    write_reranker(tmp_path / "m")
    (pair,) = load(tmp_path / "m", max_tokens=8).prepare([("w1 w2", "w3 w4 w5 w6 w7")])
    assert pair.ids.tolist() == [2, 5, 6, 3, 7, 8, 9, 3]
    assert pair.is_cut
    (long,) = load(tmp_path / "m").prepare([("w1", "w2 " * 500)])
    assert long.num_tokens == POSITIONS


def test_the_backend_serves_it_by_name_and_refuses_a_model_for_vectors(tmp_path):
    write_reranker(tmp_path / "m")
    write(tmp_path / "e")
    site = Site(Shelf(tmp_path / "home"), 1, tmp_path)
    scorer = BACKEND.scorer(Model(str(tmp_path / "m"), dtype="fp32"), site)
    assert scorer.run(scorer.prepare([("w1", "w2")])).shape == (1,)
    with pytest.raises(ConfigError, match="no reranker"):
        BACKEND.scorer(Model(str(tmp_path / "e")), site)


def test_a_classifier_of_several_classes_is_refused(tmp_path):
    write_reranker(tmp_path / "m", outputs=3)
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    with pytest.raises(BadRequest, match="3 classes"):
        cross_encoder(Checkpoint(tmp_path / "m" / "model.safetensors"), layout_of(config), "float")


@pytest.mark.parametrize(
    ("changes", "word"),
    [({"model_type": "deberta-v2"}, "deberta-v2"), ({"position_embedding_type": "relative_key"}, "relative_key")],
)
def test_an_architecture_that_is_not_known_is_named(changes, word):
    config = {"model_type": "bert", "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1}
    with pytest.raises(BadRequest, match=word):
        layout_of(config | changes)


def test_sizes_that_are_missing_are_named():
    with pytest.raises(BadRequest, match="num_attention_heads"):
        layout_of({"model_type": "bert", "hidden_size": 8})
