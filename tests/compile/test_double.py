"""The module that stands for SAIL in our tests has the traps of the real one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from services.models.bundle import BMODEL
from tests.conftest import ROOT

from .small_bundles import doubled

pytestmark = [pytest.mark.tpusim, pytest.mark.timeout(300)]
SCRIPT = """
import json, sys, threading, time
import numpy as np
from sophon import sail
from services.llm.backends.sophon.inputs import fixed

engine, graph = sail.Engine(sys.argv[1], 0, sail.IOMode.DEVIO), "embed_s16"
(out,) = engine.get_output_names(graph)
inputs = fixed(1, 16) | {"input_ids": np.arange(16, dtype=np.int64)[None], "last_index": np.array([15])}
found = {}

def ticks(work):
    seen, is_over = [time.monotonic()], threading.Event()
    def tick():
        while not is_over.wait(0.005):
            seen.append(time.monotonic())
    thread = threading.Thread(target=tick)
    thread.start()
    result = work()
    is_over.set()
    thread.join()
    seen.append(time.monotonic())
    return result, float(np.diff(seen).max())

arrays, found["pause_with_arrays"] = ticks(lambda: engine.process(graph, inputs))
tensors, outputs = engine.create_input_tensors_map(graph, -1), engine.create_output_tensors_map(graph, -1)
for name, tensor in tensors.items():
    try:
        tensor.update_data(inputs[name])
    except sail.SailTensorError as error:
        found.setdefault("refused", []).append(name)
        tensor.update_data(inputs[name].astype(np.int32))
_, found["pause_with_tensors"] = ticks(lambda: engine.process(graph, tensors, outputs))
found["same"] = bool((outputs[out].asnumpy() == arrays[out]).all())
found["missing"] = float(np.abs(engine.process(graph, {"input_ids": inputs["input_ids"]})[out]).max())
whole = sail.Tensor(engine.get_handle(), [1, 4, 2], sail.Dtype.BM_FLOAT32, False, True)
sail.Tensor(whole, [1, 1, 2], 4).update_data(np.ones((1, 1, 2), np.float32))
found["whole"] = whole.asnumpy().reshape(-1).tolist()
try:
    sail.Tensor(whole, [1, 1, 2], 7)
except sail.SailTensorError as error:
    found["beyond"] = str(error)
print("found" + json.dumps(found), flush=True)
engine.process("embed_s99", inputs)
"""


def test_it_behaves_as_the_real_module_was_seen_to(embed_bundle, tools):
    doubles = doubled(tools)
    del doubles["LD_PRELOAD"]  # a pass must take long enough that a lock which is held is seen
    path = os.pathsep.join([str(ROOT), doubles["PYTHONPATH"]])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(embed_bundle / BMODEL)], capture_output=True, text=True, timeout=250,
        check=False, env=os.environ | doubles | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if line.startswith("found")]
    assert lines, done.stderr
    found = json.loads(lines[0].removeprefix("found"))
    assert found["refused"] == ["input_ids", "last_index"], "tensors want exactly their dtype"
    assert found["same"], "arrays are cast to the graph's numbers"
    assert found["missing"] == 0.0, "a missing input is no error"
    assert found["pause_with_arrays"] > 2 * found["pause_with_tensors"], "only tensors let go of Python's lock"
    assert found["whole"] == [0, 0, 0, 0, 1, 1, 0, 0], "a part of a tensor is its own memory, and new memory is zeros"
    assert found["beyond"] == "size out of range"
    assert done.returncode == -signal.SIGSEGV, "an unknown graph ends the process"
