"""Bundles of the older per-block layout load and give what their graphs compute."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from clients.errors import BackendError, BadRequest, TooLarge
from services.llm.backends.sophon.older import TABLE, OlderPasses
from services.llm.backends.sophon.options import Options
from services.models.bundle import Bundle, Net
from tests.doubles.blocks.sophon import sail

pytestmark = pytest.mark.process
DOUBLES = Path(__file__).parents[2] / "doubles" / "blocks"
BLOCKS = ("block_0", "block_1")
TEXT = np.array([3, 1, 7, 2], np.int32)


@pytest.fixture(autouse=True)
def _sail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(DOUBLES), os.environ.get("PYTHONPATH", "")]))


def opened(
    directory: Path, task: str, *graphs: str, devices: tuple[int, ...] = (0,), timeout_s: float = 60.0
) -> OlderPasses:
    path = directory / "qwen3_bf16_seq6.bmodel"
    path.write_text(" ".join(graphs))
    answers = (2, 5) if task == "rerank" else ()
    net = Net(BLOCKS, 1, sail.TOKENS)
    bundle = Bundle(
        task, (net,), sail.HIDDEN, sail.VOCABULARY, "bm1684x", "bf16", answers, file=path.name, layout="blocks"
    )
    return OlderPasses(bundle, path, Options(devices=list(devices), timeout_s=timeout_s), directory)


def expected(text: np.ndarray) -> np.ndarray:
    """The vector of the last token, with every step in bfloat16 as the device has it."""
    rows = sail.TABLE[text]
    for _ in BLOCKS:
        means = [rows[: end + 1].mean(axis=0) for end in range(len(text))]
        rows = sail.numbers(sail.bits(np.array(means) + 1))
    return rows[-1]


def test_the_vector_of_the_last_real_token_comes_out_by_a_graph_of_words(tmp_path):
    with closing(opened(tmp_path, "embed", "embedding", *BLOCKS)) as passes:
        vectors = passes.outputs([TEXT, TEXT[:2]])
    np.testing.assert_array_equal(vectors, [expected(TEXT), expected(TEXT[:2])])


def test_the_words_may_lie_in_a_table_beside_the_model(tmp_path):
    (tmp_path / TABLE).write_bytes(sail.bits(sail.TABLE).tobytes())
    with closing(opened(tmp_path, "embed", *BLOCKS)) as passes:
        np.testing.assert_array_equal(passes.outputs([TEXT]), [expected(TEXT)])


def test_a_reranker_gives_the_logits_of_no_and_yes_out_of_the_whole_vocabulary(tmp_path):
    with closing(opened(tmp_path, "rerank", "embedding", *BLOCKS, "lm_head")) as passes:
        logits = passes.outputs([TEXT])
    np.testing.assert_array_equal(logits, [sail.numbers(sail.bits(expected(TEXT) @ sail.HEAD))[[2, 5]]])


def test_each_device_has_a_process_of_its_own_and_they_work_side_by_side(tmp_path):
    with closing(opened(tmp_path, "embed", "embedding", *BLOCKS, devices=(0, 1))) as passes:
        assert passes.num_devices == 2
        with passes._pool.taken() as one, passes._pool.taken() as other, ThreadPoolExecutor(2) as threads:
            assert one._process.pid != other._process.pid
            found = list(threads.map(lambda device: passes._output(device, TEXT), (one, other)))
    np.testing.assert_array_equal(found, [expected(TEXT)] * 2)


def test_a_device_that_is_not_there_is_named_and_the_others_are_let_go(tmp_path):
    with pytest.raises(BackendError, match="no SOPHON device 7: SAIL sees 2"):
        opened(tmp_path, "embed", "embedding", *BLOCKS, devices=(0, 7))


def test_a_device_that_is_stuck_is_ended_and_named(tmp_path, monkeypatch):
    monkeypatch.setenv("DOUBLE_SLEEP_S", "50")
    stuck = pytest.raises(BackendError, match="SOPHON device 0 ended with signal SIGKILL")
    with closing(opened(tmp_path, "embed", "embedding", *BLOCKS, timeout_s=5.0)) as passes, stuck:
        passes.outputs([TEXT])


def test_a_text_that_is_too_long_is_refused(tmp_path):
    with closing(opened(tmp_path, "embed", "embedding", *BLOCKS)) as passes, pytest.raises(TooLarge, match="7 tokens"):
        passes.outputs([np.zeros(7, np.int32)])


@pytest.mark.parametrize(
    ("task", "graphs", "says"),
    [
        ("embed", ("embedding", "block_0"), "no graph 'block_1'"),
        ("rerank", ("embedding", *BLOCKS), "no graph 'lm_head'"),
        ("embed", BLOCKS, "no embedding.bin lies beside it"),
    ],
)
def test_what_is_missing_is_named(tmp_path, task, graphs, says):
    with pytest.raises(BadRequest, match=says):
        opened(tmp_path, task, *graphs)
