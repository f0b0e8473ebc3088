"""What every backend promises, asked of each of them: toy without weights, OpenVINO with the embedded models."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from clients.config import Config, Model
from clients.errors import Cancelled, TooLarge
from clients.llm import Generate, Generation, Message, Scores
from services.llm.backends import registry
from services.llm.backends.base import Embedder, Generator, Reranker
from services.llm.backends.maxsim import MaxSim
from services.llm.backends.openvino.chat import OpenVINOChat
from services.llm.backends.openvino.embedder import OpenVINOEmbedder
from services.llm.backends.registry import Site
from services.llm.backends.toy import ToyEmbedder, ToyScorer
from services.llm.backends.toy_writer import ToyGenerator
from services.llm.embedding import Embedding
from services.llm.reranking import Reranking
from services.models import Shelf, Shelved
from services.service import Call

TEXTS = [
    "The cat sits on the mat.",
    "A cat is sitting on a mat.",
    "Interest rates rose sharply in the last quarter.",
    "猫坐在垫子上。",
    "x",
    "word " * 2000,
]


def call(timeout_s: float = 60.0) -> Call:
    return Call(time.monotonic() + timeout_s)


def shelved(name: str) -> Shelved:
    """A model of the shelf, or a skip that says how to get it."""
    shelf = Shelf(Config().home)
    if not shelf.has(name):
        pytest.skip(f"the model {name} is not below {shelf.directory}: ragq models pull {name}")
    return shelf.locate(name)


REAL = [pytest.param(name, marks=pytest.mark.models) for name in ("multilingual-e5-small", "all-minilm-l6-v2")]


TORCH = [pytest.param("torch all-minilm-l6-v2", marks=[pytest.mark.models, pytest.mark.torch])]


@pytest.fixture(scope="module", params=["toy", *REAL, *TORCH])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    backend, _, name = request.param.rpartition(" ")
    if backend == "torch":
        pytest.importorskip("torch", reason="pip install 'ragq[torch]'")
        settings = Model(name, backend, device="cpu")
        return registry.backend(backend).embedder(settings, Site(Shelf(Config().home), 2, Config().home / "cache"))
    return ToyEmbedder() if name == "toy" else OpenVINOEmbedder(shelved(name))


@pytest.fixture(scope="module")
def embedding(embedder: Embedder) -> Iterator[Embedding]:
    embedding = Embedding(embedder)
    yield embedding
    embedding.close()


@pytest.fixture(params=["toy", "maxsim"])
def reranker(request: pytest.FixtureRequest, embedding: Embedding) -> Iterator[Reranker]:
    reranker: Reranker = (
        Reranking(ToyScorer())
        if request.param == "toy"
        else MaxSim(lambda _: nullcontext(embedding), lambda: embedding.card)
    )
    yield reranker
    reranker.close()


WRITERS = [
    "toy",
    pytest.param("smollm2-135m-instruct", marks=pytest.mark.models),
    pytest.param("torch", marks=pytest.mark.torch),
]


@pytest.fixture(scope="module", params=WRITERS)
def generator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generator]:
    generator: Generator
    if request.param == "torch":
        generator = random_writer(tmp_path_factory.mktemp("torch"))
    else:
        generator = ToyGenerator() if request.param == "toy" else OpenVINOChat(shelved(request.param))
    yield generator
    generator.close()


def random_writer(home: Path) -> Generator:
    """A tiny causal model that writes words at random, though always the same."""
    pytest.importorskip("torch", reason="pip install 'ragq[torch]'")
    from benchmarks import gpu_models

    place = home / "models" / "random"
    gpu_models.decoder(place, gpu_models.TINY_QWEN3, is_embedder=False)
    (place / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }} {% endfor %}")
    settings = Model("random", "torch", device="cpu")
    return registry.backend("torch").generator(settings, Site(Shelf(home), 1, home / "cache"))


def written(generator: Generator, request: Generate, at: Call | None = None) -> tuple[list[str], Generation]:
    stream = generator.generate(request, at or call())
    pieces = []
    while True:
        try:
            pieces.append(next(stream).text)
        except StopIteration as end:
            return pieces, end.value


class TestEmbedder:
    def test_rows_are_float32_of_the_stated_dimension_and_of_length_one(self, embedder):
        for role in ("query", "document"):
            for vector in embedder.run(embedder.prepare(TEXTS, role)):
                assert vector.shape == (embedder.card.dimension,)
                assert vector.dtype == np.float32
                assert float(np.linalg.norm(vector)) == pytest.approx(1.0, abs=2e-3)

    def test_a_text_has_the_same_vector_whatever_it_is_batched_with(self, embedder):
        together = embedder.run(embedder.prepare(TEXTS, "document"))
        for text, vector in zip(TEXTS, together, strict=True):
            (alone,) = embedder.run(embedder.prepare([text], "document"))
            assert float(alone @ vector) > 0.999

    def test_a_paraphrase_is_nearer_than_another_subject(self, embedder):
        cat, paraphrase, rates = embedder.run(embedder.prepare(TEXTS[:3], "document"))
        assert float(cat @ paraphrase) > float(cat @ rates) + 0.1

    def test_token_vectors_go_with_the_tokens(self, embedder):
        for text in embedder.prepare(TEXTS, "document", wants_tokens=True):
            (matrix,) = embedder.run([text])
            assert matrix.shape == (text.num_tokens, embedder.card.dimension)
            assert 0 <= text.first <= text.last <= text.num_tokens
            np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), 1.0, atol=2e-2)

    def test_a_long_text_is_cut_at_the_limit(self, embedder):
        (text,) = embedder.prepare(["word " * 5000], "document")
        assert text.num_tokens <= embedder.card.max_tokens

    def test_many_threads_get_what_one_gets(self, embedder):
        texts = embedder.prepare(TEXTS, "document")
        expected = [embedder.run([text])[0] for text in texts]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda text: embedder.run([text])[0], texts * 3))
        for vector, other in zip(expected * 3, found, strict=True):
            np.testing.assert_allclose(vector, other, atol=1e-5)


@pytest.mark.models
def test_a_chinese_question_finds_the_english_passage():
    embedder = OpenVINOEmbedder(shelved("multilingual-e5-small"))
    (question,) = embedder.run(embedder.prepare(["埃菲尔铁塔在哪里？"], "query"))
    passages = ["The Eiffel Tower is in Paris.", "Bread is baked in an oven.", "Paris was a prince of Troy."]
    scores = [float(vector @ question) for vector in embedder.run(embedder.prepare(passages, "document"))]
    assert scores[0] > max(scores[1:]) + 0.03


@pytest.mark.models
@pytest.mark.parametrize(("dtype", "least"), [("bf16", 0.9995), ("int8", 0.99)])
def test_coarser_numbers_keep_the_direction(dtype, least):
    model = shelved("all-minilm-l6-v2")
    exact, coarse = OpenVINOEmbedder(model, dtype="fp32"), OpenVINOEmbedder(model, dtype=dtype)
    pairs = zip(exact.run(exact.prepare(TEXTS, "document")), coarse.run(coarse.prepare(TEXTS, "document")), strict=True)
    assert min(float(a @ b) for a, b in pairs) > least


class TestReranker:
    def test_what_answers_scores_higher_and_scores_are_between_0_and_1(self, reranker):
        documents = ["Interest rates rose.", "The cat sits on the mat.", ""]
        scores = reranker.score([("Where does the cat sit?", document) for document in documents], call())
        assert isinstance(scores, Scores)
        assert scores.scores.shape == scores.logits.shape == (3,)
        assert scores.kind == "similarity"
        assert int(np.argmax(scores.scores)) == 1
        assert float(scores.scores.min()) >= 0.0
        assert float(scores.scores.max()) <= 1.0
        assert float(scores.scores[2]) == 0.0

    def test_pairs_are_scored_each_for_itself(self, reranker):
        pairs = [("red apple", "a red apple"), ("blue sky", "a red apple"), ("blue sky", "the blue sky")]
        together = reranker.score(pairs, call()).scores
        alone = [float(reranker.score([pair], call()).scores[0]) for pair in pairs]
        assert together.tolist() == pytest.approx(alone, abs=5e-3)
        assert together[1] < together[0]

    def test_a_call_that_was_given_up_ends(self, reranker):
        gone = call()
        gone.cancelled.set()
        with pytest.raises(Cancelled):
            reranker.score([("never seen before query", "never seen before document")], gone)


class TestGenerator:
    ASK = Generate(messages=[Message("user", "What is the capital of France?")], max_tokens=24)

    def test_the_pieces_make_up_the_text_and_are_counted(self, generator):
        pieces, whole = written(generator, self.ASK)
        assert "".join(pieces) == whole.text
        assert len(pieces) > 3
        assert 0 < whole.usage.completion_tokens <= 24
        assert whole.usage.prompt_tokens > 0
        assert 0.0 <= whole.usage.first_token_s <= whole.usage.total_s
        assert whole.model == generator.card.name

    def test_the_same_greedy_request_gives_the_same_text(self, generator):
        assert written(generator, self.ASK)[1].text == written(generator, self.ASK)[1].text

    def test_the_same_seed_gives_the_same_sample(self, generator):
        request = Generate(prompt="Once upon a time", max_tokens=12, temperature=1.0, top_p=0.9, seed=7)
        assert written(generator, request)[1].text == written(generator, request)[1].text

    def test_the_limit_of_tokens_holds(self, generator):
        _, whole = written(generator, Generate(prompt="one two three four five six seven", max_tokens=2))
        assert whole.finish_reason == "length"
        assert whole.usage.completion_tokens <= 2

    def test_a_stop_text_ends_the_answer_and_is_cut_off(self, generator):
        _, whole = written(generator, self.ASK)
        word = whole.text.split()[2]
        pieces, cut = written(generator, Generate(messages=self.ASK.messages, max_tokens=24, stop=[word]))
        assert cut.text == whole.text[: whole.text.index(word)]
        assert "".join(pieces) == cut.text
        assert cut.finish_reason == "stop"

    def test_a_caller_who_leaves_stops_it_and_the_next_is_served(self, generator):
        gone = call()
        stream = generator.generate(Generate(prompt="one two three four five six", max_tokens=200), gone)
        next(stream)
        gone.cancelled.set()
        with pytest.raises(Cancelled):
            for _ in stream:
                pass
        assert written(generator, self.ASK)[1].text

    def test_several_answers_at_a_time_are_those_of_each_alone(self, generator):
        requests = [Generate(prompt=f"The number after {n} is", max_tokens=6) for n in (1, 2, 3)]
        alone = [written(generator, request)[1].text for request in requests]
        with ThreadPoolExecutor(3) as pool:
            together = list(pool.map(lambda request: written(generator, request)[1].text, requests))
        assert together == alone


@pytest.mark.models
def test_a_prompt_beyond_the_context_is_refused_and_the_model_goes_on():
    generator = OpenVINOChat(shelved("smollm2-135m-instruct"), max_tokens=64)
    with pytest.raises(TooLarge, match="takes 64"):
        written(generator, Generate(prompt="word " * 500))
    _, whole = written(generator, Generate(prompt="one two three", max_tokens=500))
    assert whole.usage.prompt_tokens + whole.usage.completion_tokens <= 64
    generator.close()
