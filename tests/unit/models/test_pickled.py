"""Weights that torch pickled are converted once, without running what is in them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from clients.errors import BadRequest
from services.models import Shelf
from services.models.checkpoint import Checkpoint

from .checkpoints import BERT, checkpoint_directory

torch = pytest.importorskip("torch", reason="pip install 'ragq[torch]'")
pytestmark = pytest.mark.torch


class Evil:
    """Ends the process when it is unpickled."""

    def __reduce__(self):
        return exit, ("weights were run",)


def pickled_directory(path, state, name="pytorch_model.bin"):
    directory = checkpoint_directory(path, BERT)
    (directory / "model.safetensors").unlink()
    torch.save(state, directory / name)
    return directory


def test_the_converted_tensors_are_the_pickled_ones(tmp_path):
    shared = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    state = {"a": shared, "tied": shared, "turned": shared.T, "half": torch.ones(3, dtype=torch.bfloat16) * 1.5,
             "number": torch.tensor(7)}  # fmt: skip
    shelf = Shelf(tmp_path / "home")
    card = shelf.add(pickled_directory(tmp_path / "m", state))
    checkpoint = Checkpoint(shelf.path("m") / card.weights)
    for name in ("a", "tied", "turned"):
        np.testing.assert_array_equal(checkpoint.tensor(name), state[name].numpy())
    np.testing.assert_array_equal(checkpoint.tensor("half"), [1.5, 1.5, 1.5])
    assert checkpoint.tensor("number") == 7
    assert not (shelf.path("m") / "pytorch_model.bin").exists()


def test_shards_become_one_file(tmp_path):
    directory = pickled_directory(tmp_path / "m", {"a": torch.ones(2)}, "pytorch_model-00001-of-00002.bin")
    torch.save({"b": torch.zeros(3)}, directory / "pytorch_model-00002-of-00002.bin")
    places = {"a": "pytorch_model-00001-of-00002.bin", "b": "pytorch_model-00002-of-00002.bin"}
    (directory / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": places}))
    shelf = Shelf(tmp_path / "home")
    card = shelf.add(directory)
    assert set(Checkpoint(shelf.path("m") / card.weights).entries) == {"a", "b"}


@pytest.mark.parametrize("state", [{"a": Evil()}, [1, 2], {"a": "text"}])
def test_what_holds_more_than_tensors_is_refused_and_never_run(tmp_path, state):
    shelf = Shelf(tmp_path / "home")
    with pytest.raises(BadRequest, match=r"pytorch_model\.bin"):
        shelf.add(pickled_directory(tmp_path / "m", state))
    assert shelf.list() == []


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    directory = pickled_directory(tmp_path / "m", {"a": torch.ones(1000)})
    file = directory / "pytorch_model.bin"
    file.write_bytes(file.read_bytes()[:-500])
    with pytest.raises(BadRequest, match="cut off"):
        Shelf(tmp_path / "home").add(directory)
