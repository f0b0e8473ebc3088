"""The OpenVINO decoder computes what the formulas say: vectors and yes/no logits, whatever they are batched with."""

from __future__ import annotations

import json
import math
import threading

import numpy as np
import pytest
from safetensors.numpy import save_file

from clients.errors import BadRequest
from services.llm.backends.causal import read_causal
from services.llm.backends.openvino.causal_embedder import OpenVINOCausalEmbedder
from services.llm.backends.openvino.decoding import Past
from services.llm.backends.openvino.prefixes import Prefixes
from services.llm.backends.openvino.yes_no_scorer import OpenVINOYesNo
from services.models import Card, Shelved

from . import small_decoder, small_tokenizer
from .small_decoder import HIDDEN, WIDTH, forward
from .small_encoder import unit

TYPES = ("qwen3", "qwen2", "llama", "mistral")
TEXTS = ["The cat sits on the mat.", "yes", "", "Where does the cat sit? " * 4, "Interest rates rose sharply."]
EMBED = Card(
    "small", "decoder", ("embed",), dimension=HIDDEN, max_tokens=200, pooling="last", min_dimension=8,
    instruction="Find cats", query_prefix="Instruct: {instruction}\nQuery:",
)  # fmt: skip
RERANK = Card("small", "decoder", ("rerank",), max_tokens=256, head="yes_no")


def embedder(directory, model_type="qwen3", card=EMBED, **options):
    tensors = small_decoder.write(directory, model_type, **options.pop("model", {}))
    small_tokenizer.write(directory, has_end=True)
    return tensors, OpenVINOCausalEmbedder(Shelved(card, directory, 0), **({"dtype": "fp32"} | options))


def scorer(directory, model_type="qwen3", template="", **options):
    tensors = small_decoder.write(directory, model_type, **options.pop("model", {}))
    small_tokenizer.write(directory, template=template)
    return tensors, OpenVINOYesNo(Shelved(RERANK, directory, 0), **({"dtype": "fp32"} | options))


def expected_logit(tensors, pair, directory):
    vocabulary = json.loads((directory / "tokenizer.json").read_text())["model"]["vocab"]
    head = tensors.get("lm_head.weight", tensors["embed_tokens.weight"]).astype(np.float64)
    last = forward(tensors, [*pair.shared, *pair.ids.tolist()])[-1]
    return last @ (head[vocabulary["yes"]] - head[vocabulary["no"]])


pytestmark = pytest.mark.process


@pytest.mark.parametrize("model_type", TYPES)
@pytest.mark.parametrize("role", ["query", "document"])
def test_vectors_equal_the_formulas_whatever_they_are_batched_with(tmp_path, model_type, role):
    tensors, model = embedder(tmp_path, model_type)
    texts = model.prepare(TEXTS, role)
    tokens = model.run(model.prepare(TEXTS, role, wants_tokens=True))
    for text, vector, matrix in zip(texts, model.run(texts), tokens, strict=True):
        whole = unit(forward(tensors, text.ids.tolist()))
        np.testing.assert_allclose(vector, whole[-1], atol=3e-6)
        np.testing.assert_allclose(matrix, whole, atol=3e-6)
        np.testing.assert_allclose(vector, model.run([text])[0], atol=1e-6)
        assert vector.dtype == np.float32


def test_texts_and_tokens_may_share_a_pass(tmp_path):
    _, model = embedder(tmp_path)
    (text,), (tokens,) = model.prepare(TEXTS[:1], "query"), model.prepare(TEXTS[3:4], "query", wants_tokens=True)
    vector, matrix = model.run([text, tokens])
    assert vector.shape == (HIDDEN,)
    assert matrix.shape == (tokens.num_tokens, HIDDEN)
    np.testing.assert_allclose(vector, model.run([text])[0], atol=1e-6)


@pytest.mark.parametrize(("dtype", "least"), [("bf16", 0.999), ("int8", 0.99)])
def test_coarser_numbers_point_the_same_way(tmp_path, dtype, least):
    tensors, model = embedder(tmp_path, dtype=dtype)
    texts = model.prepare(TEXTS, "document")
    exact = [unit(forward(tensors, text.ids.tolist()))[-1] for text in texts]
    assert min(float(a @ b) for a, b in zip(model.run(texts), exact, strict=True)) > least


@pytest.mark.parametrize("prefix", ["", "model."])
def test_half_precision_files_are_read_with_and_without_the_prefix_of_their_body(tmp_path, prefix):
    tensors, _ = embedder(tmp_path)
    names = {f"{prefix}{name}": value.astype(np.float16) for name, value in tensors.items()}
    save_file(names, tmp_path / "model.safetensors")
    model = OpenVINOCausalEmbedder(Shelved(EMBED, tmp_path, 0), dtype="fp32")
    (text,) = model.prepare(TEXTS[:1], "document")
    assert float(model.run([text])[0] @ unit(forward(tensors, text.ids.tolist()))[-1]) > 0.99999


def test_bfloat16_files_are_computed_as_the_numbers_that_they_hold(tmp_path):
    tensors, _ = embedder(tmp_path)
    cut = {name: (value.view(np.uint32) & 0xFFFF0000).view(np.float32) for name, value in tensors.items()}
    _write_bf16(tmp_path / "model.safetensors", cut)
    model = OpenVINOCausalEmbedder(Shelved(EMBED, tmp_path, 0), dtype="fp32")
    (text,) = model.prepare(TEXTS[:1], "document")
    np.testing.assert_allclose(model.run([text])[0], unit(forward(cut, text.ids.tolist()))[-1], atol=3e-6)


def _write_bf16(path, tensors):
    header, data = {}, b""
    for name, value in tensors.items():
        bits = (value.view(np.uint32) >> 16).astype("<u2").tobytes()
        header[name] = {"dtype": "BF16", "shape": value.shape, "data_offsets": [len(data), len(data) + len(bits)]}
        data += bits
    head = json.dumps(header).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + data)


@pytest.mark.parametrize("model_type", TYPES)
def test_scores_equal_the_formulas_whatever_is_shared_and_batched(tmp_path, model_type):
    tensors, model = scorer(tmp_path, model_type, small_tokenizer.CHATML)
    pairs = model.prepare([("where is the cat?", text) for text in TEXTS])
    exact = [expected_logit(tensors, pair, tmp_path) for pair in pairs]
    np.testing.assert_allclose(model.run(pairs), exact, atol=5e-5)
    np.testing.assert_allclose([model.run([pair])[0] for pair in pairs], model.run(pairs), atol=1e-5)


def test_scores_are_those_of_the_whole_prompt_in_one_pass(tmp_path):
    _, model = scorer(tmp_path)
    pairs = model.prepare([("where is the cat?", text) for text in TEXTS])
    whole = [np.array([*pair.shared, *pair.ids], np.int32) for pair in pairs]
    np.testing.assert_allclose(model.run(pairs), model._decoding.logits(whole, Past()), atol=1e-5)


def test_a_head_of_its_own_is_used_instead_of_the_word_vectors(tmp_path):
    tensors, model = scorer(tmp_path, model={"tie_word_embeddings": False})
    pairs = model.prepare([("where?", "The cat")])
    assert model.run(pairs)[0] == pytest.approx(expected_logit(tensors, pairs[0], tmp_path), abs=5e-5)


def test_a_classifier_of_one_output_is_the_head_where_there_is_one(tmp_path):
    tensors, _ = scorer(tmp_path)
    row = np.random.default_rng(5).normal(size=(1, HIDDEN)).astype(np.float32)
    save_file(tensors | {"score.weight": row}, tmp_path / "model.safetensors")
    model = OpenVINOYesNo(Shelved(RERANK, tmp_path, 0), dtype="fp32")
    pairs = model.prepare([("where?", "The cat")])
    last = forward(tensors, [*pairs[0].shared, *pairs[0].ids.tolist()])[-1]
    assert model.run(pairs)[0] == pytest.approx(float(last @ row[0]), abs=5e-5)


@pytest.mark.parametrize("dtype", ["bf16", "int8"])
def test_coarser_numbers_give_nearly_the_same_scores(tmp_path, dtype):
    tensors, model = scorer(tmp_path, dtype=dtype)
    pairs = model.prepare([("where is the cat?", text) for text in TEXTS])
    exact = np.array([expected_logit(tensors, pair, tmp_path) for pair in pairs])
    assert np.abs(model.run(pairs) - exact).max() < 0.05 * np.abs(exact).max()


def test_many_threads_get_the_scores_that_one_gets(tmp_path):
    _, model = scorer(tmp_path, threads=2)
    queries = [model.prepare([(query, text) for text in TEXTS]) for query in ("a", "b", "c", "d")]
    expected = [model.run(pairs) for pairs in queries]
    model._prefixes.clear()
    found: dict[int, np.ndarray] = {}
    threads = [threading.Thread(target=lambda n=n: found.update({n: model.run(queries[n % 4])})) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, scores in found.items():
        np.testing.assert_allclose(scores, expected[number % 4], atol=1e-6)
    assert len(found) == 8


ROPE_LLAMA3 = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "rates"),
    [
        ({"rope_scaling": None}, {0: 1.0, 7: 10000 ** (-14 / 16)}),
        ({"rope_theta": None, "rope_parameters": {"rope_type": "default", "rope_theta": 1e4}}, {1: 10000 ** (-2 / 16)}),
        ({"rope_scaling": {"type": "linear", "factor": 4.0}}, {0: 0.25, 1: 10000 ** (-2 / 16) / 4}),
        # Over 32 positions pair 0 turns 5.1 times (kept), 1 1.6 times (mixed: by transformers), 2 0.5 (stretched).
        ({"rope_scaling": ROPE_LLAMA3}, {0: 1.0, 1: 0.0958400, 2: 10000 ** (-4 / 16) / 8}),
    ],
)
def test_rotary_rates_are_read_from_old_and_new_settings(tmp_path, settings, rates):
    small_decoder.write(tmp_path, "llama", **({"rope_theta": 1e4} | settings))
    found = read_causal(tmp_path).rates
    assert {place: found[place] for place in rates} == pytest.approx(rates, rel=1e-5)


def test_stretched_positions_go_into_the_vectors(tmp_path):
    tensors, model = embedder(tmp_path, "llama", model={"rope_scaling": ROPE_LLAMA3})
    (text,) = model.prepare(TEXTS[3:4], "document")
    exact = forward(tensors, text.ids.tolist(), read_causal(tmp_path).rates)
    np.testing.assert_allclose(model.run([text])[0], unit(exact)[-1], atol=3e-6)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"model_type": "gpt2"}, "'gpt2' is no decoder"),
        ({"hidden_act": "gelu"}, "activation 'gelu'"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "kind 'yarn'"),
        ({"rms_norm_eps": None}, "lacks, or misspells"),
    ],
)
def test_what_is_not_computed_is_named_with_the_file(tmp_path, settings, says):
    small_decoder.write(tmp_path, **settings)
    with pytest.raises(BadRequest, match=says) as failure:
        read_causal(tmp_path)
    assert "config.json" in failure.value.message


def test_a_window_bounds_the_text_only_where_it_is_used(tmp_path):
    small_decoder.write(tmp_path, "mistral", sliding_window=128)
    assert read_causal(tmp_path).limit(0) == 128
    assert read_causal(tmp_path).limit(64) == 64
    small_decoder.write(tmp_path, "qwen2", sliding_window=128, use_sliding_window=False)
    assert read_causal(tmp_path).limit(0) == 0


def test_a_checkpoint_without_a_tensor_names_it(tmp_path):
    tensors, _ = embedder(tmp_path)
    del tensors["layers.1.mlp.up_proj.weight"]
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(BadRequest, match=r"layers\.1\.mlp\.up_proj\.weight"):
        OpenVINOCausalEmbedder(Shelved(EMBED, tmp_path, 0))


def test_a_causal_model_with_another_pooling_is_refused(tmp_path):
    with pytest.raises(BadRequest, match="'mean' pooling"):
        embedder(tmp_path, card=Card("small", "decoder", ("embed",), pooling="mean"))


def past(num_bytes):
    return Past(1, {"k0": np.zeros(num_bytes, np.uint8)})


def test_a_beginning_is_computed_once_and_the_oldest_goes_when_memory_is_full():
    computed = []

    def compute(ids):
        computed.append(ids)
        return past(40)

    prefixes = Prefixes(compute, 100)
    for ids in ((1,), (2,), (1,), (3,), (1,), (2,)):
        assert prefixes.get(ids).num_bytes == 40
    assert computed == [(1,), (2,), (3,), (2,)]
    assert prefixes.num_bytes == 80


def test_a_beginning_larger_than_the_memory_is_kept_until_the_next():
    prefixes = Prefixes(lambda ids: past(500), 100)
    assert prefixes.get((1,)) is prefixes.get((1,))
    prefixes.get((2,))
    assert prefixes.num_bytes == 500


def test_a_beginning_that_fails_is_tried_again():
    answers = iter([ValueError("broken"), past(1)])

    def compute(ids):
        if isinstance(answer := next(answers), Exception):
            raise answer
        return answer

    prefixes = Prefixes(compute, 100)
    with pytest.raises(ValueError, match="broken"):
        prefixes.get((1,))
    assert prefixes.get((1,)).num_tokens == 1


def test_those_who_come_while_a_beginning_is_computed_wait_for_it():
    begun, go_on = threading.Event(), threading.Event()
    computed = []

    def compute(ids):
        computed.append(ids)
        begun.set()
        assert go_on.wait(10)
        return past(1)

    prefixes = Prefixes(compute, 100)
    found = []
    threads = [threading.Thread(target=lambda: found.append(prefixes.get((1,)))) for _ in range(3)]
    threads[0].start()
    assert begun.wait(10)
    for thread in threads[1:]:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join()
    assert computed == [(1,)]
    assert found[0] is found[1] is found[2]


def test_angles_of_a_later_place_go_on_from_those_before(tmp_path):
    small_decoder.write(tmp_path)
    causal = read_causal(tmp_path)
    cos, sin = causal.turns(3, 5)
    assert cos.shape == (2, WIDTH)
    assert cos[1, 1] == pytest.approx(math.cos(4 * causal.rates[1]))
    assert sin[0, WIDTH // 2 + 1] == pytest.approx(math.sin(3 * causal.rates[1]))
