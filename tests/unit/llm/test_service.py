"""The LLM service with toy models: every method of the contract, in one process."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest

from clients.config import LLM, Config, Model
from clients.errors import BadRequest, Cancelled, NotFound
from clients.llm import METHODS, Embed, Extract, Generate, Generation, Message, Rerank, Score, Token
from clients.wire import Nothing
from services.llm.service import LLMService
from services.service import Call

TOY = Model("toy", "toy")


def call() -> Call:
    return Call(time.monotonic() + 10)


def service_of(tmp_path, **models: Model) -> LLMService:
    models = {"embed": TOY, "rerank": TOY, "generate": TOY} | models
    service = LLMService(Config(data_dir=str(tmp_path), llm=LLM(**models)))
    service.start()
    return service


@pytest.fixture
def service(tmp_path) -> Iterator[LLMService]:
    service = service_of(tmp_path)
    yield service
    service.stop()


def write(service: LLMService, request: Generate, at: Call | None = None) -> tuple[list[str], Generation]:
    stream = service.generate(request, at or call())
    pieces = []
    while True:
        try:
            token = next(stream)
        except StopIteration as end:
            return pieces, end.value
        assert isinstance(token, Token)
        pieces.append(token.text)


def test_every_method_of_the_contract_is_served(service):
    assert set(service.handlers()) == set(METHODS)


def test_similar_texts_have_similar_vectors(service):
    reply = service.embed(Embed(["the red house", "a red house", "blue whales", "红色的房子", "红色房子"]), call())
    similarity = reply.vectors @ reply.vectors.T
    assert reply.model == "toy"
    assert reply.num_tokens > 0
    assert similarity[0, 1] > 0.9 > 0.3 > similarity[0, 2]
    assert similarity[3, 4] > 0.3 > similarity[3, 0]


def test_documents_are_scored_in_their_order(service):
    reply = service.rerank(Rerank("red house", ["a blue house", "the red house", ""]), call())
    assert np.argsort(-reply.scores).tolist()[0] == 1
    assert reply.scores.tolist() == [0.5, 1.0, 0.0]
    pairs = service.score(Score(["red house", "blue"], ["red house", "red"]), call())
    assert pairs.scores.tolist() == [1.0, 0.0]


def test_tokens_come_one_by_one_and_make_up_the_text(service):
    pieces, whole = write(service, Generate(messages=[Message("system", "be kind"), Message("user", "tell me more")]))
    assert len(pieces) == 5
    assert "".join(pieces) == whole.text == "You said: tell me more"
    assert whole.finish_reason == "stop"
    assert whole.usage.completion_tokens == 5


def test_the_limit_and_the_stop_text_end_an_answer(service):
    _, limited = write(service, Generate(prompt="one two three four", max_tokens=3))
    assert (limited.text, limited.finish_reason) == ("You said: one", "length")
    _, stopped = write(service, Generate(prompt="one two three four", stop=["two"]))
    assert (stopped.text, stopped.finish_reason) == ("You said: one ", "stop")


def test_a_caller_who_leaves_ends_the_writing(service):
    at = call()
    stream = service.generate(Generate(prompt="one two three"), at)
    next(stream)
    at.cancelled.set()
    with pytest.raises(Cancelled):
        next(stream)


def test_sentences_are_extracted_without_a_writer_and_without_an_embedder(tmp_path):
    service = service_of(tmp_path, embed=Model("none"), generate=Model("none"))
    reply = service.extract(
        Extract("How high is the tower?", ["Dogs bark. The tower is 330 metres high.", "Cats sleep."], 1), call()
    )
    assert [sentence.text for sentence in reply.sentences] == ["The tower is 330 metres high."]
    service.stop()


def test_the_models_of_every_role_are_told(service):
    infos = {info.role: info for info in service.models(Nothing(), call()).models}
    assert set(infos) == {"embed", "rerank", "generate"}
    assert infos["embed"].dimension == 256
    assert "embed toy (ready)" in service.note()


def test_bad_requests_are_refused_before_a_model_is_asked(service):
    with pytest.raises(BadRequest):
        service.embed(Embed([""]), call())
    with pytest.raises(BadRequest):
        next(service.generate(Generate(), call()))
    with pytest.raises(NotFound):
        service.rerank(Rerank("q", ["d"], model="bge"), call())
