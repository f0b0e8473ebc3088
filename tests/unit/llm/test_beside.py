"""An embedding model that a call names is loaded beside the present one, while it is needed and while there is room."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clients.config import LLM, Config, Model
from clients.embedding import Embed
from clients.errors import BackendError, DeadlineExceeded, ModelNotLoaded, NotFound, TooLarge
from clients.models import Reload
from services.llm.backends.toy import CARD, ToyEmbedder
from services.llm.beside import IDLE_S, Beside
from services.llm.embedding import Embedding
from services.llm.role import Loader
from services.llm.service import LLMService
from services.models import Card

from .gated import call, until
from .small_encoder import write

TOY = Model("toy", "toy")


class Stock:
    """Loads toys by any name but ``missing``; waits at a gate, and counts what is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.loads: list[str] = []
        self.closed: list[str] = []
        self.failure: Exception | None = None
        self.most_open = 0

    def find(self, name: str) -> Model:
        if name == "missing":
            raise NotFound("no model 'missing' is here", help="pull it")
        return Model(name, "toy")

    def load(self, settings: Model) -> Embedding:
        assert self.gate.wait(10)
        if self.failure:
            raise self.failure
        self.loads.append(settings.name)
        self.most_open = max(self.most_open, len(self.loads) - len(self.closed))
        stock = self

        class Toy(ToyEmbedder):
            def close(self) -> None:
                stock.closed.append(settings.name)

        return Embedding(Toy(replace(CARD, name=settings.name)))


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def stock() -> Stock:
    return Stock()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def beside(stock: Stock, time: Time) -> Iterator[Callable[[int], Beside]]:
    made: list[Beside] = []

    def make(limit: int) -> Beside:
        made.append(Beside(stock.find, Loader(stock.load), limit, time))
        return made[-1]

    yield make
    stock.gate.set()
    for one in made:
        one.close()


def name_of(beside: Beside, name: str, timeout_s: float = 10.0) -> str:
    with beside.lend(name, call(timeout_s)) as embedding:
        return embedding.card.name


def test_a_model_is_loaded_once_for_everyone_who_names_it(beside, stock):
    one = beside(1)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: name_of(one, "a"), range(40))) == {"a"}
    assert stock.loads == ["a"]
    assert one.num_calls == 40


def test_the_one_used_least_lately_makes_room_and_never_are_there_more(beside, stock, time):
    one = beside(2)
    for name in ("a", "b", "a", "c", "a", "b"):
        time.now += 1
        assert name_of(one, name) == name
    assert stock.loads == ["a", "b", "c", "b"]
    assert stock.closed == ["b", "c"]
    assert stock.most_open == 2


def test_a_model_in_use_is_closed_behind_its_last_call(beside, stock):
    one = beside(1)
    with ThreadPoolExecutor(1) as pool:
        with one.lend("a", call()) as embedding:
            other = pool.submit(name_of, one, "b")
            with pytest.raises(DeadlineExceeded):
                name_of(one, "b", 0.3)
            assert embedding.embed(["red"], "query", call()).vectors.shape == (1, 256)
            assert stock.closed == []
        assert other.result(10) == "b"
    assert stock.closed == ["a"]


def test_two_names_in_turn_are_both_answered_with_room_for_one(beside, stock):
    one = beside(1)
    names = ["a", "b"] * 30
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda name: name_of(one, name, 30.0), names)) == names
    assert stock.most_open == 1


def test_what_nobody_used_for_ten_minutes_goes_unless_it_is_in_use(beside, stock, time):
    one = beside(1)
    with one.lend("a", call()):
        time.now += 2 * IDLE_S
        one.sweep()
        assert stock.closed == []
    time.now += IDLE_S
    one.sweep()
    assert stock.closed == []
    time.now += 1
    one.sweep()
    until(lambda: stock.closed == ["a"])
    assert one.loaded == []
    assert name_of(one, "a") == "a"
    assert one.num_calls == 2


def test_a_call_waits_no_longer_than_its_deadline_and_the_load_goes_on(beside, stock):
    one = beside(1)
    stock.gate.clear()
    with pytest.raises(DeadlineExceeded):
        name_of(one, "a", 0.2)
    stock.gate.set()
    assert name_of(one, "a") == "a"
    assert stock.loads == ["a"]


@pytest.mark.parametrize(
    ("failure", "words"),
    [(TooLarge("needs 9 GB", help="another host"), "'a' cannot be loaded: needs 9 GB"), (OSError("disk"), "disk")],
)
def test_a_failure_is_told_and_the_next_call_tries_again(beside, stock, failure, words):
    one = beside(1)
    stock.failure = failure
    with pytest.raises(ModelNotLoaded, match=words):
        name_of(one, "a")
    stock.failure = None
    assert name_of(one, "a") == "a"


def test_no_model_beside_is_a_setting(beside):
    with pytest.raises(ModelNotLoaded) as refused:
        name_of(beside(0), "a")
    assert "llm.side_models" in refused.value.help


def test_what_is_put_away_says_so(beside, stock):
    one = beside(1)
    assert name_of(one, "a") == "a"
    one.close()
    assert stock.closed == ["a"]
    with pytest.raises(ModelNotLoaded, match="put away"):
        name_of(one, "a")


def service_of(home: Path, **settings: object) -> LLMService:
    llm = replace(LLM(embed=TOY, rerank=Model("maxsim"), generate=Model("none")), **settings)
    service = LLMService(Config(data_dir=str(home), llm=llm))
    service.start()
    return service


def test_a_call_may_name_the_present_model_or_another_of_the_shelf(tmp_path):
    write(tmp_path / "models" / "small")
    service = service_of(tmp_path)
    sizes = {name: service.embed(Embed(["red"], model=name), call()).vectors.shape for name in ("", "toy", "small")}
    assert sizes == {"": (1, 256), "toy": (1, 256), "small": (1, 16)}
    info = service._model("embed", None, call())
    assert (info.name, info.beside) == ("toy", ["small"])
    assert "beside small" in service.note()
    assert service.usage(None, call()).roles[0].num_calls >= 3
    service.stop()


def test_the_former_model_of_ragq_yml_is_loaded_as_ragq_yml_says(tmp_path):
    write(tmp_path / "models" / "small")
    service = service_of(tmp_path, embed=Model("toy-64", "toy"))
    before = service.embed(Embed(["red green"]), call()).vectors
    service._reload(Reload("embed", "small", "openvino", "fp32"), call(30))
    assert service.embed(Embed(["red green"]), call()).vectors.shape == (1, 16)
    after = service.embed(Embed(["red green"], model="toy-64"), call())
    assert after.model == "toy-64"
    assert np.array_equal(after.vectors, before)
    service.stop()


def test_maxsim_stays_with_the_present_model(tmp_path):
    service = service_of(tmp_path)
    service.embed(Embed(["red"], model="toy-64"), call())
    with service.roles.rerank.lend(call()) as reranker:
        assert reranker.score([("red", "red"), ("red", "blue")], call()).scores.tolist() == pytest.approx(
            [1, 0], abs=0.1
        )
    service.stop()


def test_a_name_that_nobody_has_and_one_that_does_not_embed_are_not_found(tmp_path):
    write(tmp_path / "models" / "small")
    service = service_of(tmp_path)
    with pytest.raises(NotFound, match="no model 'multilingual-e5-small' is on this machine") as failure:
        service.embed(Embed(["red"], model="multilingual-e5-small"), call())
    assert "ragq models pull multilingual-e5-small" in failure.value.help
    for name in ("/etc/passwd", "../small", "toy-99999"):
        with pytest.raises(NotFound):
            service.embed(Embed(["red"], model=name), call())
    Card("small", "decoder", ("generate",)).write(tmp_path / "models" / "small")
    with pytest.raises(NotFound, match="does something else"):
        service.embed(Embed(["red"], model="small"), call())
    service.stop()


def test_a_model_for_which_there_is_no_room_is_not_loaded_and_the_present_one_serves(tmp_path, monkeypatch):
    write(tmp_path / "models" / "small")
    service = service_of(tmp_path)
    monkeypatch.setattr("services.llm.roles.available_bytes", lambda: 1 << 20)
    with pytest.raises(ModelNotLoaded, match=r"cannot be loaded: 'small' needs about .* of memory"):
        service.embed(Embed(["red"], model="small"), call())
    assert service.embed(Embed(["red"]), call()).model == "toy"
    service.stop()


def test_a_backend_that_fails_under_a_call_does_not_keep_the_model_from_others(beside, stock):
    one = beside(1)
    with pytest.raises(BackendError), one.lend("a", call()):
        raise BackendError("the model failed")
    assert name_of(one, "a") == "a"
