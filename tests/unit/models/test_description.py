"""A model that brings no card is described by its own configuration, and nothing is guessed."""

from __future__ import annotations

import pytest

from clients.errors import BadRequest
from services.models.description import describe

from .checkpoints import BERT, QWEN3, checkpoint_directory

LAST = {"1_Pooling/config.json": {"pooling_mode_lasttoken": True, "pooling_mode_mean_tokens": False}}
INSTRUCT = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
XLMR = BERT | {"model_type": "xlm-roberta", "pad_token_id": 1, "max_position_embeddings": 8194}


def described(tmp_path, config, settings=None, name="m"):
    return describe(checkpoint_directory(tmp_path / name, config, settings))


@pytest.mark.parametrize(
    ("settings", "pooling"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        ({"pooling_mode_cls_token": True}, "cls"),
        ({"pooling_mode": "lasttoken"}, "last"),
        ({"pooling_mode": ["cls"]}, "cls"),
        ({"pooling_mode_cls_token": False}, "mean"),
    ],
)
def test_the_pooling_is_the_one_of_the_settings_old_or_new(tmp_path, settings, pooling):
    assert described(tmp_path, BERT, {"1_Pooling/config.json": settings}).pooling == pooling


@pytest.mark.parametrize(
    "modes", [{"pooling_mode_max_tokens": True}, {"pooling_mode": ["cls", "mean"]}, {"pooling_mode": 3}]
)
def test_pooling_that_is_not_served_is_refused_rather_than_replaced(tmp_path, modes):
    with pytest.raises(BadRequest, match="is not served"):
        described(tmp_path, BERT, {"1_Pooling/config.json": modes})


def test_a_layer_behind_the_pooling_is_refused(tmp_path):
    modules = [{"type": f"sentence_transformers.models.{name}"} for name in ("Transformer", "Pooling", "Dense")]
    with pytest.raises(BadRequest, match="Dense layer"):
        described(tmp_path, BERT, {"modules.json": modules})


def test_an_embedder_has_its_length_prompts_and_no_other_role(tmp_path):
    settings = {
        "sentence_bert_config.json": {"max_seq_length": 32},
        "config_sentence_transformers.json": {"prompts": {"query": "find: ", "passage": "text: ", "odd": None}},
    }
    card = described(tmp_path, BERT, settings)
    assert (card.kind, card.roles, card.max_tokens, card.dimension) == ("encoder", ("embed",), 32, 8)
    assert (card.query_prefix, card.document_prefix, card.instruction) == ("find: ", "text: ", "")


def test_distilbert_has_its_own_words_for_the_sizes(tmp_path):
    sizes = {"model_type": "distilbert", "dim": 24, "n_heads": 2, "n_layers": 1, "max_position_embeddings": 40}
    card = described(tmp_path, sizes)
    assert (card.dimension, card.max_tokens, card.pooling) == (24, 40, "mean")


def test_prompts_that_a_bge_model_does_not_state_are_not_guessed_from_its_name(tmp_path):
    assert described(tmp_path, BERT, name="bge-small-en-v1.5").query_prefix == ""


def test_the_length_falls_back_to_the_tokenizers_and_never_passes_the_positions(tmp_path):
    card = described(tmp_path, XLMR, {"tokenizer_config.json": {"model_max_length": 512}}, "short")
    assert card.max_tokens == 512
    assert described(tmp_path, XLMR, {"tokenizer_config.json": {"model_max_length": 10**30}}).max_tokens == 8192


def test_qwen3_embedding_is_a_decoder_with_instruction_and_shorter_vectors(tmp_path):
    prompts = {"prompts": {"query": INSTRUCT, "document": ""}, "default_prompt_name": None}
    card = described(tmp_path, QWEN3, LAST | {"config_sentence_transformers.json": prompts})
    assert (card.kind, card.roles, card.pooling, card.min_dimension) == ("decoder", ("embed",), "last", 32)
    assert card.query_prefix == "Instruct: {instruction}\nQuery:"
    assert card.query_prefix.format(instruction=card.instruction) == INSTRUCT
    assert (card.document_prefix, card.dimension, card.max_tokens) == ("", 64, 32768)


@pytest.mark.parametrize("config", [BERT | {"architectures": ["BertForSequenceClassification"]},
                                    XLMR | {"architectures": ["XLMRobertaForSequenceClassification"]}])  # fmt: skip
def test_a_classifier_with_one_output_reranks(tmp_path, config):
    card = described(tmp_path, config | {"id2label": {"0": "LABEL_0"}})
    assert (card.kind, card.roles, card.head, card.dimension) == ("encoder", ("rerank",), "logit", 0)
    assert card.max_tokens == (64 if config["model_type"] == "bert" else 8192)


def test_a_classifier_with_several_outputs_is_refused(tmp_path):
    config = BERT | {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "a", "1": "b", "2": "c"}}
    with pytest.raises(BadRequest, match="3 classes"):
        described(tmp_path, config)


def test_qwen3_reranker_is_known_by_its_score_module(tmp_path):
    modules = [
        {"type": "sentence_transformers.base.modules.transformer.Transformer"},
        {"type": "sentence_transformers.cross_encoder.modules.logit_score.LogitScore"},
    ]
    answers = {"true_token_id": 7, "false_token_id": 3}
    settings = {"modules.json": modules, "1_LogitScore/config.json": answers}
    card = described(tmp_path, QWEN3, settings)
    assert (card.kind, card.roles, card.head, card.max_tokens) == ("decoder", ("rerank",), "yes_no", 8192)
    assert card.instruction == "Given a web search query, retrieve relevant passages that answer the query"
    with pytest.raises(BadRequest, match="yes and no"):
        described(tmp_path, QWEN3, settings | {"1_LogitScore/config.json": answers | {"true_token_id": 3}}, "odd")


def test_a_causal_model_called_a_reranker_reranks_only(tmp_path):
    assert described(tmp_path, QWEN3, name="Qwen3-Reranker-0.6B").roles == ("rerank",)


@pytest.mark.parametrize("kind", ["qwen3", "qwen2", "llama", "mistral"])
def test_a_causal_model_chats_and_can_score_by_yes_and_no(tmp_path, kind):
    card = described(tmp_path, QWEN3 | {"model_type": kind, "architectures": [f"{kind.title()}ForCausalLM"]})
    assert (card.kind, card.roles, card.head, card.max_tokens) == (
        "decoder",
        ("generate", "rerank"),
        "yes_no",
        32768,
    )


def test_a_decoder_without_head_and_without_pooling_is_refused(tmp_path):
    with pytest.raises(BadRequest, match="without pooling settings"):
        described(tmp_path, QWEN3 | {"architectures": ["Qwen3Model"]})


@pytest.mark.parametrize("kind", ["rwkv7", "t5", "gpt2"])
def test_other_architectures_are_refused_and_the_known_ones_named(tmp_path, kind):
    with pytest.raises(BadRequest, match=f"'{kind}'") as failure:
        described(tmp_path, BERT | {"model_type": kind})
    assert all(known in failure.value.help for known in ("bert", "xlm-roberta", "qwen3", "llama", ".gguf"))


def test_quantised_safetensors_are_refused_by_their_method(tmp_path):
    with pytest.raises(BadRequest, match="gptq"):
        described(tmp_path, QWEN3 | {"quantization_config": {"quant_method": "gptq"}})


def test_weights_that_are_only_pickled_are_not_served_but_may_be_converted(tmp_path):
    directory = checkpoint_directory(tmp_path / "m", BERT)
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")
    with pytest.raises(BadRequest, match="never loaded") as failure:
        describe(directory)
    assert f"ragq models add {directory}" in failure.value.help
    assert describe(directory, converts=True).weights == "model.safetensors"


def test_a_missing_tokenizer_file_says_how_one_is_written(tmp_path):
    directory = checkpoint_directory(tmp_path / "m", BERT)
    (directory / "tokenizer.json").unlink()
    with pytest.raises(BadRequest, match=r"tokenizer\.json missing") as failure:
        describe(directory)
    assert "AutoTokenizer" in failure.value.help
