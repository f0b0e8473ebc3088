"""A compiled model serves as every other does: through SAIL, and through the runtime below it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clients.config import Model
from clients.errors import BackendError, BadRequest, ConfigError
from compile.tools import Tools
from services.llm.backends import registry
from services.llm.backends.base import Prepared, PreparedPair
from services.llm.backends.registry import Site
from services.models import Shelf
from services.models.bundle import BUNDLE, read_bundle

from .small_bundles import GOLDEN, cosine, doubled

pytestmark = [pytest.mark.tpusim, pytest.mark.timeout(300)]
TEXTS = GOLDEN["texts"]


def site(home: Path) -> Site:
    return Site(Shelf(home), 1, home / "cache")


def settings(bundle: Path, driver: str, tools: Tools, **options: object) -> Model:
    libraries = {"libraries": str(tools.libraries)} if driver == "simulator" else {}
    return Model(str(bundle), "sophon", options={"driver": driver, **libraries, **options})


@pytest.fixture(scope="module", params=["simulator", "sail"])
def driver(request: pytest.FixtureRequest, tools: Tools) -> Iterator[str]:
    """SAIL is the real one on a machine that has a device: RAGQ_SOPHON_DEVICE=0."""
    with pytest.MonkeyPatch.context() as patch:
        if "RAGQ_SOPHON_DEVICE" not in os.environ:
            for name, value in doubled(tools).items():
                patch.setenv(name, value)
        yield request.param


def made(role: str, bundle: Path, driver: str, tools: Tools, home: Path, **options: object) -> Any:
    """A model, for as short as it can be: the simulator takes some of a processor while it waits."""
    backend = registry.backend("sophon")
    load = backend.embedder if role == "embed" else backend.scorer
    return closing(load(settings(bundle, driver, tools, **options), site(home)))


def prepared(text: dict) -> Prepared:
    ids = np.array(text["ids"], np.int32)
    return Prepared(ids, 0, len(ids))


def test_vectors_of_a_mixed_batch_are_those_of_torch_in_their_order(driver, embed_bundle, tools, tmp_path):
    order = (3, 1, 0)
    with made("embed", embed_bundle, driver, tools, tmp_path) as model:
        with ticking() as ticks, silent(model, 2.0):
            vectors = model.run([prepared(TEXTS[number]) for number in order])
        with pytest.raises(BadRequest, match="one vector per text"):
            model.prepare(["cat"], "document", wants_tokens=True)
        (text,) = model.prepare(["cat " * 100], "document")
    for vector, number in zip(vectors, order, strict=True):
        assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
        assert cosine(vector, np.array(TEXTS[number]["vector"])) >= 0.999
    assert (text.num_tokens, text.is_cut) == (32, True)
    assert max(np.diff(ticks)) < 1.0, "Python stood still while the device worked, and heartbeats with it"


@contextmanager
def ticking() -> Iterator[list[float]]:
    """The times at which another thread came to run."""
    ticks = [time.monotonic()]
    is_over = threading.Event()

    def tick() -> None:
        while not is_over.wait(0.02):
            ticks.append(time.monotonic())

    thread = threading.Thread(target=tick)
    thread.start()
    yield ticks
    is_over.set()
    thread.join()
    ticks.append(time.monotonic())


@contextmanager
def silent(model: Any, seconds: float) -> Iterator[None]:
    """The device says nothing for a while, as in a long pass."""
    (device,) = model._passes._pool._devices
    os.kill(device._process.pid, signal.SIGSTOP)
    wake = threading.Timer(seconds, os.kill, (device._process.pid, signal.SIGCONT))
    wake.start()
    yield
    wake.join()


def test_the_expit_of_a_logit_is_the_share_of_yes_of_torch(driver, rerank_bundle, tools, tmp_path):
    pairs = [PreparedPair(np.array(TEXTS[n]["ids"][4:], np.int32), tuple(TEXTS[n]["ids"][:4])) for n in (2, 3)]
    with made("rerank", rerank_bundle, driver, tools, tmp_path) as model:
        shares = 1 / (1 + np.exp(-model.run(pairs)))
    assert shares == pytest.approx([TEXTS[2]["p_yes"], TEXTS[3]["p_yes"]], abs=0.02)


def test_a_process_that_is_killed_is_an_error_and_comes_back(embed_bundle, tools, tmp_path):
    with made("embed", embed_bundle, "simulator", tools, tmp_path) as model:
        (device,) = model._passes._pool._devices
        os.kill(device._process.pid, signal.SIGKILL)
        with pytest.raises(BackendError, match="SOPHON device 0 ended with signal SIGKILL"):
            model.run([prepared(TEXTS[0])])
        (vector,) = model.run([prepared(TEXTS[0])])
    assert cosine(vector, np.array(TEXTS[0]["vector"])) >= 0.999


def test_a_bundle_in_the_wrong_role_is_refused(rerank_bundle, tools, tmp_path):
    with pytest.raises(ConfigError, match="compiled for the task rerank, not embed"):
        registry.backend("sophon").embedder(settings(rerank_bundle, "simulator", tools), site(tmp_path))


def test_a_tokenizer_with_other_words_for_yes_and_no_is_refused(rerank_bundle, tools, tmp_path):
    for file in rerank_bundle.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / BUNDLE).unlink()
    bundle = read_bundle(rerank_bundle)
    replace(bundle, answers=bundle.answers[::-1]).write(tmp_path)
    with pytest.raises(BadRequest, match="was compiled for"):
        registry.backend("sophon").scorer(settings(tmp_path, "simulator", tools), site(tmp_path))


def test_a_bmodel_without_the_graph_that_its_description_names_is_refused(embed_bundle, tools, tmp_path):
    for file in embed_bundle.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / BUNDLE).unlink()
    bundle = read_bundle(embed_bundle)
    replace(bundle, nets=(replace(bundle.nets[0], steps=("embed_s99",)),)).write(tmp_path)
    with pytest.raises(BadRequest, match="no graph 'embed_s99'"):
        registry.backend("sophon").embedder(settings(tmp_path, "simulator", tools), site(tmp_path))
