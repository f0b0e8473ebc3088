"""The OpenVINO graphs give what transformers gives, for every architecture that they know."""

from __future__ import annotations

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

pytest.importorskip("torch", reason="pip install 'ragq[torch]'")

import torch
import transformers

from services.llm.backends.distances import buckets
from services.llm.backends.openvino.cross_encoder import OpenVINOCrossEncoder
from services.llm.backends.openvino.embedder import OpenVINOEmbedder
from services.models import Shelf

pytestmark = [pytest.mark.torch, pytest.mark.process]

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *[f"w{i}" for i in range(56)]]
SIZES = {
    "vocab_size": len(WORDS), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 64, "max_position_embeddings": 40, "initializer_range": 0.3, "pad_token_id": 0,
}  # fmt: skip
LATE = SIZES | {"pad_token_id": 1}
DISTILBERT = {
    "vocab_size": len(WORDS), "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": 40,
    "initializer_range": 0.3,
}  # fmt: skip
# Class names begin so: sizes, and what the tokenizer puts around a pair.
DOUBLED, TYPED = "[CLS] $A [SEP] [SEP] $B [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"
KINDS = {
    "Bert": (SIZES, TYPED),
    "Roberta": (LATE | {"type_vocab_size": 1}, DOUBLED),
    "XLMRoberta": (LATE | {"type_vocab_size": 1}, DOUBLED),
    "Camembert": (LATE | {"type_vocab_size": 1}, DOUBLED),
    "DistilBert": (DISTILBERT, "[CLS] $A [SEP] $B [SEP]"),
    "Electra": (SIZES | {"embedding_size": 16}, TYPED),
    "MPNet": (LATE, DOUBLED),
}
TEXTS = ["w1 w2 w3", "w4", " ".join(f"w{i}" for i in range(5, 35)), "w20 w21 w22 w1"]
PAIRS = [*[("w1 w2", text) for text in TEXTS], (TEXTS[2], "w3 w4"), (TEXTS[2], TEXTS[2])]


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def save(directory, kind, ending, **changes):
    """A model of random weights with its tokenizer, and what the shelf says of it."""
    sizes, pair = KINDS[kind]
    torch.manual_seed(0)
    config = getattr(transformers, kind + "Config")(**sizes, **changes)
    model = getattr(transformers, kind + ending)(config).eval()
    model.save_pretrained(directory)
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair=pair, special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(directory / "tokenizer.json"))
    return model, tokenizer, Shelf(directory.parent / "home").locate(str(directory))


def inputs_of(encoding, kind):
    found = {"input_ids": torch.tensor([encoding.ids]), "attention_mask": torch.ones(1, len(encoding.ids))}
    return found | ({"token_type_ids": torch.tensor([encoding.type_ids])} if KINDS[kind][1] == TYPED else {})


@torch.no_grad()
def test_vectors_are_those_of_transformers(tmp_path, kind):
    model, tokenizer, shelved = save(tmp_path / "m", kind, "Model")
    embedder = OpenVINOEmbedder(shelved, dtype="fp32")
    for text, vector in zip(TEXTS, embedder.run(embedder.prepare(TEXTS, "document")), strict=True):
        pooled = model(**inputs_of(tokenizer.encode(text), kind)).last_hidden_state[0].mean(axis=0).numpy()
        np.testing.assert_allclose(vector, pooled / np.linalg.norm(pooled), atol=1e-5)


@torch.no_grad()
def test_logits_are_those_of_transformers_batched_or_one_by_one(tmp_path, kind):
    model, tokenizer, shelved = save(tmp_path / "m", kind, "ForSequenceClassification", num_labels=1)
    scorer = OpenVINOCrossEncoder(shelved, dtype="fp32")
    tokenizer.enable_truncation(shelved.card.max_tokens)
    prepared = scorer.prepare(PAIRS)
    encodings = [tokenizer.encode(*pair) for pair in PAIRS]
    assert [pair.ids.tolist() for pair in prepared] == [encoding.ids for encoding in encodings]
    expected = [float(model(**inputs_of(encoding, kind)).logits[0, 0]) for encoding in encodings]
    np.testing.assert_allclose(scorer.run(prepared), expected, atol=1e-5)
    np.testing.assert_allclose([scorer.run([pair])[0] for pair in prepared], expected, atol=1e-5)


@pytest.mark.parametrize("number", [16, 32])
def test_buckets_of_distances_are_those_of_transformers(number):
    encoder = transformers.models.mpnet.modeling_mpnet.MPNetEncoder
    expected = encoder.relative_position_bucket(torch.arange(-599, 600), number)
    assert buckets(number, 600).tolist() == expected.tolist()
