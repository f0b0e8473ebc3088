"""A role without a model says why and how to cure it, and does not stop the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from clients.config import LLM, Model
from clients.errors import ModelNotLoaded, NotFound, TooLarge
from clients.models import Reload
from services.llm.roles import Roles

from .gated import call, lent, until
from .small_encoder import write

TOY = Model("toy", "toy")


def roles(home: Path, **models: Model) -> Roles:
    return Roles.of(replace(LLM(embed=TOY, rerank=TOY, generate=TOY), **models), home)


def test_a_missing_model_is_told_and_the_other_roles_work(tmp_path):
    some = roles(tmp_path, embed=Model("multilingual-e5-small"))
    some.embed.fill()
    some.rerank.fill()
    with pytest.raises(ModelNotLoaded, match="not on this machine") as failure:
        lent(some.embed, call())
    assert "ragq models pull multilingual-e5-small" in failure.value.help
    assert lent(some.rerank, call()).card.name == "toy"
    info = some.infos()[0]
    assert (info.role, info.name) == ("embed", "multilingual-e5-small")
    assert "ragq models pull" in info.status


def test_a_model_that_arrives_later_is_found_without_a_restart(tmp_path):
    some = roles(tmp_path, embed=Model("small", dtype="fp32"))
    some.embed.fill()
    with pytest.raises(ModelNotLoaded):
        lent(some.embed, call())
    write(tmp_path / "models" / "small")
    assert lent(some.embed, call()).card.dimension == 16
    assert some.infos()[0].status == "ready"
    some.close()


def test_maxsim_reranks_with_the_embedding_model(tmp_path):
    some = roles(tmp_path, rerank=Model("maxsim"))
    some.rerank.fill()
    with pytest.raises(ModelNotLoaded, match="embedding model"):
        lent(some.rerank, call())
    some.embed.fill()
    scores = lent(some.rerank, call()).score(
        [("red apple", "a red apple"), ("red apple", "blue sky"), ("red apple", "")], call()
    )
    assert scores.kind == "similarity"
    assert scores.scores.tolist() == pytest.approx([1.0, 0.0, 0.0], abs=1e-3)
    some.close()


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Model("none"), "no model to generate"),
        (Model("x", "rwkv"), "no backend 'rwkv'"),
        (Model("../nowhere"), "cannot name a model"),
    ],
)
def test_a_role_that_cannot_be_filled_says_why(tmp_path, model, words):
    some = roles(tmp_path, generate=model)
    some.generate.fill()
    with pytest.raises(ModelNotLoaded, match=words):
        lent(some.generate, call())


def test_a_directory_with_a_broken_model_says_so(tmp_path):
    (tmp_path / "models" / "small").mkdir(parents=True)
    some = roles(tmp_path, embed=Model("small"))
    some.embed.fill()
    with pytest.raises(ModelNotLoaded, match=r"config\.json"):
        lent(some.embed, call())


def test_another_model_than_the_loaded_one_is_not_found(tmp_path):
    some = roles(tmp_path)
    some.embed.fill()
    assert lent(some.embed, call(), "toy").card.name == "toy"
    with pytest.raises(NotFound, match="'bge'") as failure:
        lent(some.embed, call(), "bge")
    assert failure.value.help == "loaded: toy"
    some.close()


def test_maxsim_follows_the_embedding_model_when_that_is_exchanged(tmp_path):
    write(tmp_path / "models" / "small")
    some = roles(tmp_path, rerank=Model("maxsim"))
    some.embed.fill()
    some.rerank.fill()
    pairs = [("w1 w2", "w1 w2"), ("w1 w2", "w9")]
    with some.rerank.lend(call()) as reranker:
        before = reranker.score(pairs, call()).scores
    reloaded = some.exchange(Reload("embed", "small", "openvino", "fp32"), call(30))
    assert (reloaded.previous, reloaded.model.name, reloaded.model.dimension) == ("toy", "small", 16)
    with some.rerank.lend(call()) as reranker:
        after = reranker.score(pairs, call()).scores
    assert before.tolist() == pytest.approx([1.0, 0.0], abs=1e-3)
    assert after[0] == pytest.approx(1.0, abs=1e-2)
    assert after[1] != pytest.approx(before[1], abs=1e-3)
    some.close()


def test_a_model_that_does_not_fit_is_refused_before_it_is_loaded(tmp_path, monkeypatch):
    write(tmp_path / "models" / "small")
    monkeypatch.setattr("services.llm.roles.available_bytes", lambda: 1 << 20)
    some = roles(tmp_path, embed=Model("small", dtype="fp32"))
    some.embed.fill()
    with pytest.raises(
        ModelNotLoaded, match=r"needs about 0\.1. GB of memory to load, and 0\.00 GB can be had"
    ) as failure:
        lent(some.embed, call())
    assert "int8" in failure.value.help
    monkeypatch.setattr("services.llm.roles.available_bytes", lambda: 1 << 40)
    assert lent(some.embed, call()).card.dimension == 16, "memory may be free at the next call"
    monkeypatch.setattr("services.llm.roles.available_bytes", lambda: 1 << 20)
    with pytest.raises(TooLarge, match="'small' stays loaded") as refused:
        some.exchange(Reload("embed", dtype="int8"), call())
    assert "release_first" in refused.value.help
    assert lent(some.embed, call()).card.dimension == 16
    some.close()


def test_the_check_of_memory_can_be_left_out(tmp_path, monkeypatch):
    write(tmp_path / "models" / "small")
    monkeypatch.setattr("services.llm.roles.available_bytes", lambda: 1)
    some = roles(tmp_path, embed=Model("small", dtype="fp32", options={"check_memory": False}))
    some.embed.fill()
    assert lent(some.embed, call()).card.dimension == 16
    some.close()


def test_what_a_role_has_done_is_told(tmp_path):
    some = roles(tmp_path)
    some.embed.fill()
    for _ in range(2):
        with some.embed.lend(call()) as embedding:
            embedding.embed(["red green"], "document", call())
    usage = some.usages()[0]
    assert (usage.role, usage.model, usage.num_calls, usage.num_tokens, usage.num_passes) == ("embed", "toy", 2, 2, 1)
    assert (usage.cache_hits, usage.cache_misses, usage.num_waiting, usage.num_running) == (1, 1, 0, 0)
    some.exchange(Reload("embed"), call())
    with some.embed.lend(call()) as embedding:
        embedding.embed(["red green"], "document", call())
    until(lambda: some.usages()[0].num_passes == 2)
    assert some.usages()[0].num_calls == 3, "counts go on over an exchange"
    some.close()


def test_the_processes_of_a_service_share_the_cores(tmp_path, monkeypatch):
    monkeypatch.setattr("services.llm.machine.num_cores", lambda: 9)
    assert [Roles.of(LLM(num_workers=n), tmp_path).threads for n in (1, 2, 3, 8, 20)] == [8, 4, 2, 1, 1]
    assert Roles.of(LLM(num_workers=2, threads=6), tmp_path).threads == 6


def test_a_pass_of_one_role_is_not_alone_while_another_role_works(tmp_path):
    some = roles(tmp_path)
    for role in (some.embed, some.rerank, some.generate):
        role.fill()
    embedding = some.embed.peek()
    assert embedding is not None
    told = []
    really = embedding.embedder.run

    def run(batch, *, is_alone=False):
        told.append(is_alone)
        return really(batch)

    embedding.embedder.run = run
    embedding.embed(["one"], "document", call())
    with some.generate.lend(call()):
        embedding.embed(["two"], "document", call())
    with some.rerank.lend(call()):
        embedding.embed(["three"], "document", call())
    assert told == [True, False, True], "a reranker without a pass under way leaves the cores to others"
    some.close()


def test_what_a_model_computes_in_is_told_and_not_what_was_left_open(tmp_path):
    write(tmp_path / "models" / "small")
    some = roles(tmp_path, embed=Model("small"), rerank=Model("toy", "toy", device="cpu"))
    some.embed.fill()
    some.rerank.fill()
    embed, rerank, _ = some.infos()
    assert embed.dtype in ("fp32", "bf16")
    assert embed.num_bytes > 0
    assert (rerank.dtype, rerank.device, rerank.num_bytes) == ("", "cpu", 0)
    some.close()
