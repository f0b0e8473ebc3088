"""A remote model as a role of the service: away, back again, and with what it cannot do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clients.config import LLM, Model
from clients.errors import ModelNotLoaded, RagqError
from services.llm.roles import Roles
from services.service import Call
from tests.unit.llm.gated import lent
from tests.unit.llm.remote.scripted import Scripted, ranked, serves_all

TOY = Model("toy", "toy")


def call() -> Call:
    return Call(time.monotonic() + 10.0)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[list[Roles]]:
    made: list[Roles] = []
    yield made
    for roles in made:
        roles.close()


def roles(tmp_path: Path, made: list[Roles], **models: Model) -> Roles:
    made.append(Roles.of(replace(LLM(embed=TOY, rerank=TOY, generate=TOY), **models), tmp_path))
    return made[-1]


def test_a_server_that_is_away_at_the_start_is_told_and_tried_again(tmp_path: Path, made: list[Roles]) -> None:
    with Scripted() as server:
        port, settings = server.port, server.model()
    some = roles(tmp_path, made, embed=settings)
    some.embed.fill()
    with pytest.raises(ModelNotLoaded, match="the connection is refused"):
        lent(some.embed, call())
    assert "the connection is refused" in some.infos()[0].status
    with Scripted(port_wanted=port) as server:
        serves_all(server)
        vectors = lent(some.embed, call()).embed(["a"], "query", call()).vectors
    assert np.round(vectors, 6).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)]]
    assert some.infos()[0].status == "ready"


def test_maxsim_is_refused_beside_a_remote_embedding_model(tmp_path: Path, made: list[Roles], server: Scripted) -> None:
    some = roles(tmp_path, made, embed=server.model(), rerank=Model("maxsim"))
    some.embed.fill()
    some.rerank.fill()
    with pytest.raises(RagqError, match="a vector per token") as caught:
        lent(some.rerank, call())
    assert "remote reranker" in caught.value.help


def test_scores_of_a_server_are_probabilities_with_their_logits(
    tmp_path: Path, made: list[Roles], server: Scripted
) -> None:
    server.on("/v1/rerank", ranked(3.0, -3.0), ranked(0.5), ranked(2.0, -2.0))
    some = roles(tmp_path, made, rerank=server.model())
    some.rerank.fill()
    scores = lent(some.rerank, call()).score([("q", "a"), ("q", "b")], call())
    assert sorted(scores.logits.tolist()) == [-2.0, 2.0]
    assert scores.kind == "probability"
    assert scores.scores.tolist() == pytest.approx((1 / (1 + np.exp(-scores.logits))).tolist())


def test_a_faulty_answer_reaches_the_caller_and_the_next_call_works(
    tmp_path: Path, made: list[Roles], server: Scripted
) -> None:
    some = roles(tmp_path, made, embed=server.model())
    some.embed.fill()
    good = server.replies["/v1/embeddings"]
    server.on("/v1/embeddings", b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", *good)
    embedding = lent(some.embed, call())
    with pytest.raises(RagqError, match="answers 500"):
        embedding.embed(["a"], "document", call())
    assert embedding.embed(["a"], "document", call()).vectors.shape == (1, 2)
