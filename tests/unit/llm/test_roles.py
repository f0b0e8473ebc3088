"""A role without a model says why and how to cure it, and does not stop the others."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from clients.config import LLM, Model
from clients.errors import DeadlineExceeded, ModelNotLoaded, NotFound
from services.llm.backends.toy import ToyScorer
from services.llm.reranking import Reranking
from services.llm.roles import Role, Roles
from services.service import Call

from .small_encoder import write

TOY = Model("toy", "toy")


def call(timeout_s: float = 10.0) -> Call:
    return Call(time.monotonic() + timeout_s)


def roles(home: Path, **models: Model) -> Roles:
    return Roles.of(replace(LLM(embed=TOY, rerank=TOY, generate=TOY), **models), home)


def test_a_missing_model_is_told_and_the_other_roles_work(tmp_path):
    some = roles(tmp_path, embed=Model("multilingual-e5-small"))
    some.embed.fill()
    some.rerank.fill()
    with pytest.raises(ModelNotLoaded, match="not on this machine") as failure:
        some.embed.get(call())
    assert "ragq models pull multilingual-e5-small" in failure.value.help
    assert some.rerank.get(call()).card.name == "toy"
    info = some.infos()[0]
    assert (info.role, info.name) == ("embed", "multilingual-e5-small")
    assert "ragq models pull" in info.status


def test_a_model_that_arrives_later_is_found_without_a_restart(tmp_path):
    some = roles(tmp_path, embed=Model("small", dtype="fp32"))
    some.embed.fill()
    with pytest.raises(ModelNotLoaded):
        some.embed.get(call())
    write(tmp_path / "models" / "small")
    assert some.embed.get(call()).card.dimension == 16
    assert some.infos()[0].status == "ready"
    some.close()


def test_maxsim_reranks_with_the_embedding_model(tmp_path):
    some = roles(tmp_path, rerank=Model("maxsim"))
    some.rerank.fill()
    with pytest.raises(ModelNotLoaded, match="embedding model"):
        some.rerank.get(call())
    some.embed.fill()
    scores = some.rerank.get(call()).score(
        [("red apple", "a red apple"), ("red apple", "blue sky"), ("red apple", "")], call()
    )
    assert scores.kind == "similarity"
    assert scores.scores.tolist() == pytest.approx([1.0, 0.0, 0.0], abs=1e-3)
    some.close()


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Model("none"), "no model to generate"),
        (Model("x", "sophon"), "no backend 'sophon'"),
        (Model("../nowhere"), "cannot name a model"),
    ],
)
def test_a_role_that_cannot_be_filled_says_why(tmp_path, model, words):
    some = roles(tmp_path, generate=model)
    some.generate.fill()
    with pytest.raises(ModelNotLoaded, match=words):
        some.generate.get(call())


def test_a_directory_with_a_broken_model_says_so(tmp_path):
    (tmp_path / "models" / "small").mkdir(parents=True)
    some = roles(tmp_path, embed=Model("small"))
    some.embed.fill()
    with pytest.raises(ModelNotLoaded, match=r"config\.json"):
        some.embed.get(call())


def test_another_model_than_the_loaded_one_is_not_found(tmp_path):
    some = roles(tmp_path)
    some.embed.fill()
    assert some.embed.get(call(), "toy").card.name == "toy"
    with pytest.raises(NotFound, match="'bge'") as failure:
        some.embed.get(call(), "bge")
    assert failure.value.help == "loaded: toy"
    some.close()


def test_a_call_waits_while_the_model_loads():
    gate = threading.Event()

    def load() -> Reranking:
        gate.wait(10)
        return Reranking(ToyScorer())

    role = Role("rerank", TOY, load)
    role.fill_later()
    assert role.status == "loading"
    with pytest.raises(DeadlineExceeded):
        role.get(call(0.05))
    gate.set()
    assert role.get(call()).card.name == "toy"


def test_calls_during_a_second_attempt_wait_for_it():
    attempts = iter([ModelNotLoaded("not yet"), Reranking(ToyScorer())])
    gate, entered = threading.Event(), threading.Event()

    def load() -> Reranking:
        outcome = next(attempts)
        if isinstance(outcome, ModelNotLoaded):
            raise outcome
        entered.set()
        gate.wait(10)
        return outcome

    role = Role("rerank", TOY, load)
    role.fill()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(role.get, call())
        assert entered.wait(5)
        second = pool.submit(role.get, call())
        gate.set()
        assert first.result(5) is second.result(5)


def test_a_runtime_that_breaks_becomes_a_status():
    def load() -> Reranking:
        raise OSError("libopenvino.so is broken")

    role = Role("rerank", TOY, load)
    role.fill()
    assert "libopenvino.so is broken" in role.status
