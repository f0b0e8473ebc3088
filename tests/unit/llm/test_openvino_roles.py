"""Which decoder fills which role is read from its files, and the service's queue gives what the model gives alone."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from clients.config import Model
from clients.errors import BackendError, BadRequest, ConfigError
from services.llm.backends.openvino.backend import BACKEND
from services.llm.backends.openvino.causal_embedder import OpenVINOCausalEmbedder
from services.llm.backends.openvino.yes_no_scorer import OpenVINOYesNo
from services.llm.backends.registry import Site
from services.llm.reranking import Reranking
from services.models import Shelf
from services.service import Call
from tests.unit.models.gguf_files import gguf_file

from . import small_decoder, small_tokenizer

pytestmark = pytest.mark.process

DOCUMENTS = ["The cat sits on the mat.", "yes", "Interest rates rose sharply. " * 3, "Where?"]


def site(tmp_path):
    return Site(Shelf(tmp_path / "home"), 1, tmp_path / "cache")


def reranker(tmp_path, name="small-reranker", **settings):
    directory = tmp_path / name
    small_decoder.write(directory, **settings)
    small_tokenizer.write(directory, template=small_tokenizer.CHATML)
    return Model(str(directory), dtype="fp32")


def test_a_decoder_with_pooling_settings_embeds_and_takes_its_prompts_from_them(tmp_path):
    directory = tmp_path / "small-embedding"
    small_decoder.write(directory)
    small_tokenizer.write(directory, has_end=True)
    (directory / "1_Pooling").mkdir()
    (directory / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_lasttoken": True}))
    embedder = BACKEND.embedder(Model(str(directory), dtype="fp32"), site(tmp_path))
    assert isinstance(embedder, OpenVINOCausalEmbedder)
    (vector,) = embedder.run(embedder.prepare(["The cat"], "document"))
    assert float(np.linalg.norm(vector)) == pytest.approx(1.0, abs=1e-5)
    embedder.close()


def test_the_queue_gives_the_scores_that_each_pair_has_alone(tmp_path):
    scorer = BACKEND.scorer(reranker(tmp_path), site(tmp_path))
    assert isinstance(scorer, OpenVINOYesNo)
    pairs = [(query, document) for document in DOCUMENTS for query in ("cat?", "rates?")]
    alone = [scorer.run(scorer.prepare([pair]))[0] for pair in pairs]
    reranking = Reranking(scorer)
    scores = reranking.score(pairs, Call(time.monotonic() + 60))
    np.testing.assert_allclose(scores.logits, alone, atol=1e-5)
    np.testing.assert_allclose(scores.scores, 1 / (1 + np.exp(-np.array(alone))), atol=1e-5)
    assert scores.kind == "probability"
    reranking.close()


def test_a_chat_model_reranks_too(tmp_path):
    directory = tmp_path / "small-chat"
    small_decoder.write(directory, "llama")
    small_tokenizer.write(directory, template="{% for m in messages %}[{{ m.role }}]{{ m.content }}\n{% endfor %}:")
    scorer = BACKEND.scorer(Model(str(directory), dtype="fp32"), site(tmp_path))
    (pair,) = scorer.prepare([("cat?", "The cat")])
    assert np.isfinite(scorer.run([pair])).all()
    scorer.close()


def test_a_classifier_whose_prompt_is_unknown_is_refused(tmp_path):
    settings = reranker(tmp_path, model_type="llama", architectures=["LlamaForSequenceClassification"], num_labels=1)
    with pytest.raises(BadRequest, match="which prompt"):
        BACKEND.scorer(settings, site(tmp_path))


def test_a_chat_model_without_a_gguf_file_is_refused_with_the_ways_to_serve_it(tmp_path):
    with pytest.raises(ConfigError, match="no GGUF file") as failure:
        BACKEND.generator(reranker(tmp_path, "small-chat"), site(tmp_path))
    assert all(word in failure.value.help for word in ("backend: torch", "--dtype int8"))


def test_a_gguf_file_that_would_be_split_wrongly_is_refused_unless_the_options_take_it(tmp_path):
    path = tmp_path / "llama3.gguf"
    gguf_file(path, {"a": ("Q8_0", np.zeros((1, 32)))}, splitting="llama-bpe")
    with pytest.raises(BadRequest, match="llama-bpe"):
        BACKEND.generator(Model(str(path)), site(tmp_path))
    # Of a file that holds no model, GenAI then complains itself.
    with pytest.raises(BackendError, match="OpenVINO GenAI cannot read"):
        BACKEND.generator(Model(str(path), options={"any_tokenizer": True}), site(tmp_path))
