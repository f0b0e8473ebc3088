"""A role keeps serving: while a model loads, while another takes its place, and when that fails."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clients.config import Model
from clients.errors import (
    BackendError,
    BadRequest,
    Cancelled,
    ConfigError,
    DeadlineExceeded,
    MissingExtra,
    ModelNotLoaded,
    NotFound,
    RagqError,
    TooLarge,
)
from clients.models import Reload
from services.llm.backends.toy import CARD, ToyEmbedder
from services.llm.choice import Choice
from services.llm.embedding import Embedding
from services.llm.role import Loader, Role

from .gated import call, until

TOY = Model("toy", "toy")


class Numbered(ToyEmbedder):
    """A toy whose vectors carry its number; says when it is closed, and refuses to work after that."""

    def __init__(self, name: str) -> None:
        super().__init__(replace(CARD, name=name, revision=name))
        self.is_closed = False

    def run(self, batch, *, is_alone=False):
        assert not self.is_closed, "a closed model was asked"
        return [row * 0 + float(self.card.name[1:]) for row in super().run(batch)]

    def close(self) -> None:
        self.is_closed = True


class Stock:
    """Models by name; what is not among them is missing."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)
        self.loaded: list[Numbered] = []
        self.failure: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()

    def load(self, settings: Model) -> Embedding:
        assert self.gate.wait(10)
        if self.failure:
            raise self.failure
        if settings.name not in self.names:
            raise ModelNotLoaded(f"no {settings.name} here", help="pull it")
        model = Numbered(settings.name)
        self.loaded.append(model)
        return Embedding(model)

    @property
    def open(self) -> list[str]:
        return [model.card.name for model in self.loaded if not model.is_closed]


@pytest.fixture
def stock() -> Stock:
    return Stock("m1", "m2", "m3")


def role_of(stock: Stock, home: Path, name: str = "m1", **loader) -> Role[Embedding]:
    section = replace(TOY, name=name)
    return Role("embed", section, Loader(stock.load, **loader), Choice(home / "roles", "embed", section))


@pytest.fixture
def role(stock: Stock, tmp_path: Path) -> Iterator[Role[Embedding]]:
    role = role_of(stock, tmp_path)
    role.fill()
    yield role
    role.close()
    assert not stock.open


def number(role: Role[Embedding], text: str = "a", timeout_s: float = 10.0) -> int:
    """The number of the model that served a call, the same before and after its work."""
    at = call(timeout_s)
    with role.lend(at) as embedding:
        vectors = embedding.embed([text], "document", at).vectors
        assert set(vectors.ravel().tolist()) == {float(embedding.card.name[1:])}
        return int(vectors[0, 0])


def test_a_call_waits_while_the_model_loads(stock, tmp_path):
    role = role_of(stock, tmp_path)
    stock.gate.clear()
    role.fill_later()
    assert role.status == "loading"
    with pytest.raises(DeadlineExceeded):
        number(role, timeout_s=0.05)
    stock.gate.set()
    assert number(role) == 1
    assert role.status == "ready"
    role.close()


def test_calls_during_a_second_attempt_wait_for_it_and_none_makes_a_third(stock, tmp_path):
    role = role_of(stock, tmp_path, "m9")
    role.fill()
    assert "no m9 here" in role.status
    stock.names.add("m9")
    stock.gate.clear()
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(number, role) for _ in range(8)]
        time.sleep(0.05)
        stock.gate.set()
        assert [answer.result(10) for answer in answers] == [9] * 8
    assert stock.open == ["m9"]
    role.close()


def test_a_second_attempt_that_hangs_holds_no_call_beyond_its_own_time(stock, tmp_path):
    role = role_of(stock, tmp_path, "m9")
    role.fill()
    stock.gate.clear()
    start = time.monotonic()
    for _ in range(3):
        with pytest.raises(DeadlineExceeded):
            number(role, timeout_s=0.1)
    assert time.monotonic() - start < 5
    stock.gate.set()
    role.close()


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (OSError("libopenvino.so is broken"), "libopenvino.so is broken"),
        (ConfigError("no backend 'x'"), "no backend"),
        (MissingExtra("torch", "torch"), "'torch', which is not installed"),
    ],
)
def test_whatever_keeps_a_model_from_loading_becomes_a_status(stock, tmp_path, failure, words):
    stock.failure = failure
    role = role_of(stock, tmp_path)
    role.fill()
    assert words in role.status
    with pytest.raises(ModelNotLoaded, match=words):
        number(role)


def test_an_exchange_swaps_the_model_and_closes_the_old_one(role, stock):
    assert number(role) == 1
    previous, took_s = role.exchange(Reload("embed", "m2"), call())
    assert previous == "m1"
    assert took_s >= 0
    assert number(role) == 2
    until(lambda: stock.open == ["m2"])
    assert role.remark == "chosen instead of m1"
    role.exchange(Reload("embed"), call())
    assert number(role) == 1
    assert role.remark == ""


def test_calls_under_way_end_on_the_old_model_which_is_closed_behind_the_last_one(role, stock):
    with role.lend(call()) as old:
        role.exchange(Reload("embed", "m2"), call())
        assert number(role) == 2
        assert stock.open == ["m1", "m2"]
        assert old.embed(["still served"], "document", call()).vectors[0, 0] == 1.0
    until(lambda: stock.open == ["m2"])


@pytest.mark.parametrize("release_first", [False, True])
@pytest.mark.parametrize(
    ("wish", "failure", "error"),
    [
        (Reload("embed", "m9"), None, ModelNotLoaded),
        (Reload("embed", "m2", dtype="int3"), None, BadRequest),
        (Reload("embed", "m2"), ConfigError("no backend 'x'"), ModelNotLoaded),
    ],
)
def test_an_exchange_that_fails_keeps_the_old_model(role, stock, tmp_path, wish, failure, error, release_first):
    def load(settings: Model, really: Callable[[Model], Embedding] = stock.load) -> Embedding:
        if failure and settings.name == wish.name:
            raise failure
        return really(settings)

    object.__setattr__(role._loader, "load", load)
    with pytest.raises(error):
        role.exchange(replace(wish, release_first=release_first), call())
    assert number(role) == 1
    assert stock.open == ["m1"]
    assert (role.status, role.remark) == ("ready", "")
    assert not (tmp_path / "roles" / "embed.json").exists()


def test_a_model_for_which_there_is_no_memory_is_refused_before_the_old_one_goes(stock, tmp_path):
    asked = []

    def measure(settings: Model, present: Model | None, *, goes: bool) -> int:
        asked.append((settings.name, present.name if present else "", goes))
        if settings.name == "m2":
            raise TooLarge("m2 is too large")
        return 0

    role = role_of(stock, tmp_path, measure=measure)
    role.fill()
    for release_first in (False, True):
        with pytest.raises(TooLarge):
            role.exchange(Reload("embed", "m2", release_first=release_first), call())
    assert [model.card.name for model in stock.loaded] == ["m1"], "the old one never went"
    assert asked == [("m1", "", False), ("m2", "m1", False), ("m2", "m1", True)]
    role.close()


def test_released_first_the_old_model_is_gone_before_the_new_one_comes_and_calls_wait(role, stock):
    seen = []
    really = stock.load

    def load(settings: Model) -> Embedding:
        seen.append(list(stock.open))
        return really(settings)

    object.__setattr__(role._loader, "load", load)
    stock.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        exchange = pool.submit(role.exchange, Reload("embed", "m2", release_first=True), call())
        until(lambda: bool(seen))
        waits = pool.submit(number, role)
        time.sleep(0.02)
        assert not waits.done()
        stock.gate.set()
        assert exchange.result(5)[0] == "m1"
        assert waits.result(5) == 2
    assert seen == [[]]


def test_a_caller_who_gave_up_changes_nothing(role, stock):
    gone = call()
    stock.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        exchange = pool.submit(role.exchange, Reload("embed", "m2"), gone)
        gone.cancelled.set()
        stock.gate.set()
        with pytest.raises(Cancelled):
            exchange.result(5)
    assert number(role) == 1
    until(lambda: stock.open == ["m1"])


def test_a_release_that_nobody_waits_for_leaves_the_model_where_it_was(role, stock):
    with role.lend(call()), pytest.raises(DeadlineExceeded):
        role.exchange(Reload("embed", "m2", release_first=True), call(0.1))
    assert number(role) == 1
    assert stock.open == ["m1"]


def test_a_choice_outlives_a_restart_until_the_configuration_changes(role, stock, tmp_path):
    role.exchange(Reload("embed", "m2"), call())
    again = role_of(stock, tmp_path)
    again.fill()
    assert number(again) == 2
    again.close()
    edited = role_of(stock, tmp_path, "m3")
    edited.fill()
    assert number(edited) == 3
    edited.close()


def test_a_choice_that_cannot_be_written_down_is_not_made(role, stock, tmp_path):
    (tmp_path / "roles").write_text("a file where the folder should be")
    with pytest.raises(BackendError, match="could not be kept"):
        role.exchange(Reload("embed", "m2"), call())
    assert number(role) == 1
    until(lambda: stock.open == ["m1"])


def test_another_worker_of_the_same_home_follows_and_serves_the_old_one_meanwhile(role, stock, tmp_path):
    other_stock = Stock("m1", "m2")
    other = role_of(other_stock, tmp_path)
    other.fill()
    role.exchange(Reload("embed", "m2"), call())
    other_stock.gate.clear()
    assert number(other) == 1
    until(lambda: other.remark == "loading m2")
    assert number(other) == 1
    other_stock.gate.set()
    until(lambda: number(other) == 2)
    until(lambda: other_stock.open == ["m2"])
    role.exchange(Reload("embed"), call())
    until(lambda: number(other) == 1)
    other.close()


def test_a_worker_without_calls_follows_when_it_is_asked_to_look(role, tmp_path):
    stock = Stock("m1", "m2")
    idle = role_of(stock, tmp_path)
    idle.fill()
    role.exchange(Reload("embed", "m2"), call())
    idle.follow()
    until(lambda: stock.open == ["m2"])
    idle.close()


def test_a_worker_that_cannot_follow_says_so_and_keeps_its_model(role, stock, tmp_path):
    other_stock = Stock("m1")
    other = role_of(other_stock, tmp_path)
    other.fill()
    role.exchange(Reload("embed", "m2"), call())
    assert number(other) == 1
    until(lambda: "could not be loaded" in other.remark)
    assert "no m2 here" in other.remark
    assert number(other) == 1
    other.close()


def test_a_role_may_be_emptied_and_filled_again(role, stock):
    role.exchange(Reload("embed", "none"), call())
    assert role.status == "off"
    with pytest.raises(ModelNotLoaded, match="no model to embed"):
        number(role)
    assert role.exchange(Reload("embed", "m2"), call())[0] == ""
    assert number(role) == 2


def test_another_model_than_the_loaded_one_is_not_found(role):
    with pytest.raises(NotFound, match="'m7'"), role.lend(call(), "m7"):
        pass
    assert role.seat.tally.num_running == 0


@pytest.mark.parametrize("seed", range(3))
def test_calls_and_exchanges_at_random_never_meet_a_closed_model_and_none_is_left_open(seed, stock, tmp_path):
    role = role_of(stock, tmp_path)
    role.fill()
    over = threading.Event()
    served: list[int] = []
    failures: list[RagqError] = []

    def ask(caller: int) -> None:
        chance = random.Random(seed * 100 + caller)
        while not over.is_set():
            at = call(chance.choice([0.0005, 5.0, 5.0]))
            if chance.random() < 0.1:
                threading.Timer(0.001, at.cancelled.set).start()
            try:
                with role.lend(at) as embedding:
                    rows = embedding.embed([f"text {chance.randrange(1000)}"], "document", at).vectors
                    assert np.all(rows == float(embedding.card.name[1:]))
                    served.append(int(rows[0, 0]))
            except (Cancelled, DeadlineExceeded):
                pass
            except RagqError as error:
                failures.append(error)

    with ThreadPoolExecutor(10) as pool:
        callers = [pool.submit(ask, caller) for caller in range(8)]
        chance = random.Random(seed)
        for _ in range(25):
            wish = Reload("embed", f"m{chance.choice([1, 2, 3, 9])}", release_first=chance.random() < 0.3)
            try:
                role.exchange(wish, call())
            except ModelNotLoaded:
                assert wish.name == "m9"
            time.sleep(0.005)
        over.set()
        for caller in callers:
            caller.result(10)
    assert not failures
    assert len(set(served)) == 3
    last = role.settings.name
    until(lambda: stock.open == [last])
    role.close()
    assert not stock.open
