"""A model comes from a hub over a bad network whole, checked, and without starting over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from clients.errors import (
    AlreadyExists,
    BadRequest,
    Busy,
    ConfigError,
    DataLoss,
    Forbidden,
    NotFound,
    Unreachable,
)
from services.models import Progress, Shelf
from services.models.checkpoint import Checkpoint
from services.models.download import Patience
from services.models.hub import HubReader, parsed
from services.models.repository import look, pull

from .checkpoints import BERT, checkpoint_directory
from .gguf_files import gguf_file
from .hub_server import COMMIT, HubServer, serving

QUICK = Patience(attempts=3, first_s=0.01)
NUM_WEIGHTS = 50_000


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    folder = checkpoint_directory(tmp_path / "repository", BERT, {"1_Pooling/config.json": {"pooling_mode": "cls"}})
    save_file({"a": np.arange(NUM_WEIGHTS, dtype=np.float32)}, folder / "model.safetensors")
    (folder / "pytorch_model.bin").write_bytes(b"x" * 5000)
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(b"x" * 5000)
    with serving(HubServer(folder)) as server:
        yield server


def pulled(tmp_path, hub, text="owner/name", name="", on_progress=lambda _: None):
    reader = HubReader(hub.address, QUICK)
    return pull(Shelf(tmp_path / "home"), reader, look(reader, text, name), on_progress)


def leftovers(tmp_path):
    return sorted(path.name for path in (tmp_path / "home" / "models").iterdir())


def test_only_the_needed_files_of_a_repository_come_and_are_described(tmp_path, hub):
    seen: list[Progress] = []
    card = pulled(tmp_path, hub, on_progress=seen.append)
    assert {name for name, _ in hub.requests} == {
        "1_Pooling/config.json",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    }
    assert (card.name, card.kind, card.pooling, card.licence) == ("name", "encoder", "cls", "mit")
    assert card.source == f"the hub repository owner/name at {COMMIT[:12]}"
    weights = Checkpoint(Shelf(tmp_path / "home").path("name") / card.weights)
    np.testing.assert_array_equal(weights.tensor("a"), np.arange(NUM_WEIGHTS, dtype=np.float32))
    assert (seen[-1].stage, seen[-1].bytes_done) == ("done", seen[-1].bytes_total)
    assert leftovers(tmp_path) == ["name"]


def test_a_cut_connection_goes_on_where_it_was(tmp_path, hub):
    hub.faults = [0, 0, 0, -70_000, -30_000]
    pulled(tmp_path, hub)
    ranges = [asked for name, asked in hub.requests if name == "model.safetensors"]
    assert ranges[0] == ""
    assert [asked.partition("=")[0] for asked in ranges[1:]] == ["bytes", "bytes"]
    assert ranges[1] != ranges[2]


def test_a_server_that_knows_no_ranges_sends_the_file_again(tmp_path, hub):
    hub.ignores_range = True
    hub.faults = [0, 0, 0, -70_000]
    pulled(tmp_path, hub)
    assert leftovers(tmp_path) == ["name"]


def test_progress_resets_the_patience_and_silence_ends_it(tmp_path, hub):
    hub.faults = [0, 0, 0, *[-20_000] * 6]
    pulled(tmp_path, hub)
    assert len(hub.requests) == 3 + 7


@pytest.mark.parametrize(("status", "error"), [(500, Unreachable), (503, Unreachable), (429, Busy)])
def test_a_server_in_trouble_is_asked_again_and_then_named(tmp_path, hub, status, error):
    hub.faults = [status, status]
    assert pulled(tmp_path, hub).name == "name"
    hub.faults = [status] * 3
    with pytest.raises(error, match=str(status)):
        pulled(tmp_path, hub, name="other")


def test_a_busy_hub_is_given_the_time_that_it_asks_for(tmp_path, hub):
    hub.faults, hub.retry_after = [429], "1"
    begin = time.monotonic()
    pulled(tmp_path, hub)
    assert time.monotonic() - begin >= 1


def test_a_file_with_another_hash_is_refused_and_not_kept(tmp_path, hub):
    hub.lies = True
    with pytest.raises(DataLoss, match="git blob"):
        pulled(tmp_path, hub)
    (partial,) = (tmp_path / "home" / "models").iterdir()
    assert not [path for path in partial.rglob("*") if path.is_file()]


def test_a_partial_file_of_other_content_is_found_by_the_hash_of_the_whole(tmp_path, hub):
    partial = Shelf(tmp_path / "home").partial(f"owner--name-{COMMIT[:12]}")
    (partial / "model.safetensors").write_bytes(b"evil" * 100)
    with pytest.raises(DataLoss, match="sha256"):
        pulled(tmp_path, hub)
    assert pulled(tmp_path, hub).name == "name"


def test_a_gated_repository_says_how_to_get_in_and_a_token_opens_it(tmp_path, hub, monkeypatch):
    hub.token = "hf_secret"
    with pytest.raises(Forbidden, match="gated") as failure:
        pulled(tmp_path, hub)
    assert "HF_TOKEN" in failure.value.help
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert pulled(tmp_path, hub).name == "name"


def test_what_the_hub_does_not_have_is_told(tmp_path, hub):
    with pytest.raises(NotFound, match="'owner/other' at 'main'"):
        pulled(tmp_path, hub, "owner/other")
    with pytest.raises(NotFound, match="at 'v9'"):
        pulled(tmp_path, hub, "owner/name@v9")
    assert pulled(tmp_path, hub, "owner/name@v1").name == "name"


def test_a_hub_that_is_not_there_is_told(tmp_path):
    with pytest.raises(Unreachable, match="does not answer"):
        look(HubReader("http://127.0.0.1:9", QUICK), "owner/name")
    with pytest.raises(ConfigError, match="http address"):
        HubReader("ftp://mirror")


def test_an_architecture_that_cannot_be_loaded_is_refused_before_its_weights_come(tmp_path, hub):
    (hub.folder / "config.json").write_text(json.dumps(BERT | {"model_type": "rwkv7"}))
    with pytest.raises(BadRequest, match="rwkv7"):
        pulled(tmp_path, hub)
    assert "model.safetensors" not in {name for name, _ in hub.requests}


def test_a_repository_without_weights_that_are_read_is_refused(tmp_path, hub):
    for name in ("model.safetensors", "pytorch_model.bin"):
        (hub.folder / name).unlink()
    with pytest.raises(BadRequest, match="neither safetensors"):
        pulled(tmp_path, hub)


def test_of_several_gguf_files_one_that_is_read_well_comes(tmp_path, hub):
    for path in [path for path in hub.folder.rglob("*") if path.is_file()]:
        path.unlink()
    for kind in ("Q2_K", "Q8_0", "f16"):
        gguf_file(hub.folder / f"Chat-{kind}.gguf", {"a": ("Q8_0", np.zeros((1, 32)))})
    card = pulled(tmp_path, hub)
    assert (card.name, card.kind, card.weights) == ("chat-q8_0", "gguf", "Chat-Q8_0.gguf")


def test_a_name_that_is_taken_is_told_before_anything_comes(tmp_path, hub):
    pulled(tmp_path, hub)
    hub.requests.clear()
    with pytest.raises(AlreadyExists, match="--name"):
        pulled(tmp_path, hub)
    assert hub.requests == []


def test_the_token_stays_with_the_hub_when_a_file_lies_elsewhere(tmp_path, hub, monkeypatch):
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    seen = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.headers.get("Authorization"))
            self.send_response(302)
            self.send_header("Location", hub.address + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format, *arguments):  # noqa: A002 - the name that the library calls with
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as front:
        thread = Thread(target=front.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        hub.token = "hf_secret"
        with pytest.raises(Forbidden):
            look(HubReader(f"http://127.0.0.1:{front.server_address[1]}", QUICK), "owner/name")
        front.shutdown()
        thread.join()
    assert seen == ["Bearer hf_secret"]


@pytest.mark.parametrize("text", ["name", "a/b/c", "../b", "a/..", "a b/c", "https://hub/a/b"])
def test_what_names_no_repository_is_refused(text):
    with pytest.raises(BadRequest, match="no repository"):
        parsed(text)


PULL = """
import sys
from pathlib import Path
from services.models import Shelf
from services.models.hub import HubReader
from services.models.repository import look, pull
hub = HubReader(sys.argv[1])
pull(Shelf(Path(sys.argv[2])), hub, look(hub, "owner/name"), lambda p: print(p.stage, p.bytes_done, flush=True))
"""


@pytest.mark.process
def test_a_pull_that_was_killed_goes_on_where_it_was(tmp_path, hub):
    big = np.random.default_rng(0).standard_normal(3_000_000).astype(np.float32)
    save_file({"a": big}, hub.folder / "model.safetensors")
    hub.faults = [0, 0, 0, -4_000_000, *[503] * 50]
    command = [sys.executable, "-c", PULL, hub.address, str(tmp_path / "home")]
    root = str(Path(__file__).parents[3])
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=root, env={**os.environ, "PYTHONPATH": root}
    ) as process:
        for line in process.stdout:
            if int(line.split()[1]) > 3_000_000:
                break
        process.send_signal(signal.SIGKILL)
    hub.faults = []
    hub.requests.clear()
    pulled(tmp_path, hub)
    (asked,) = [asked for name, asked in hub.requests if name == "model.safetensors"]
    assert int(asked[len("bytes=") : -1]) >= 3_000_000
    weights = Checkpoint(Shelf(tmp_path / "home").path("name") / "model.safetensors")
    np.testing.assert_array_equal(weights.tensor("a"), big)
