"""What lies on the shelf, what can be put there, and what is refused."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from clients.errors import AlreadyExists, BadRequest, MissingExtra, ModelNotLoaded, NotFound
from services.models import Card, Shelf
from services.models.bundle import Bundle, Net
from services.models.checkpoint import Checkpoint
from services.models.gguf import read_header
from services.models.shelf import STALE_S

from .checkpoints import shard
from .gguf_files import gguf_file
from .test_chat_gguf import llama_directory


def encoder_directory(path: Path, **config: object) -> Path:
    path.mkdir()
    settings = {"model_type": "bert", "hidden_size": 8, "max_position_embeddings": 64} | config
    (path / "config.json").write_text(json.dumps(settings))
    (path / "tokenizer.json").write_text("{}")
    save_file({"a": np.ones(4, np.float32)}, path / "model.safetensors")
    return path


def test_an_empty_home_has_no_models(tmp_path):
    assert Shelf(tmp_path).list() == []


@pytest.mark.parametrize(
    ("name", "cure"),
    [("multilingual-e5-small", "ragq models pull multilingual-e5-small"), ("mine", "ragq models pull embedded")],
)
def test_a_missing_model_says_how_to_get_it(tmp_path, name, cure):
    with pytest.raises(ModelNotLoaded) as failure:
        Shelf(tmp_path).path(name)
    assert cure in failure.value.help


def test_a_profile_is_there_when_all_of_it_is(tmp_path):
    shelf = Shelf(tmp_path)
    (shelf.directory / "multilingual-e5-small").mkdir(parents=True)
    assert not shelf.has("embedded")
    (shelf.directory / "smollm2-135m-instruct").mkdir()
    assert shelf.has("embedded")


@pytest.mark.parametrize("link", [False, True])
def test_a_directory_of_ones_own_is_added_described_and_found(tmp_path, link):
    directory = encoder_directory(tmp_path / "My-Model")
    (directory / "1_Pooling").mkdir()
    (directory / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    (directory / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 32}))
    prompts = {"prompts": {"query": "find: ", "passage": "text: "}}
    (directory / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    shelf = Shelf(tmp_path / "home")
    shelf.add(directory, link=link)
    (entry,) = shelf.list()
    assert (entry.card.name, entry.card.pooling, entry.card.max_tokens, entry.card.dimension) == (
        "my-model",
        "cls",
        32,
        8,
    )
    assert (entry.card.query_prefix, entry.card.document_prefix) == ("find: ", "text: ")
    assert (entry.path / "model.safetensors").is_symlink() == link
    assert entry.num_bytes > 16


@pytest.mark.parametrize("link", [False, True])
def test_only_the_files_that_are_needed_are_taken(tmp_path, link):
    directory = encoder_directory(tmp_path / "m")
    for name in ("pytorch_model.bin", "tf_model.h5", "onnx/model.onnx", "run.py", "1_Pooling/config.json", "LICENSE"):
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text('{"pooling_mode": "cls"}')
    shelf = Shelf(tmp_path / "home")
    shelf.add(directory, link=link)
    place = shelf.path("m")
    taken = {str(file.relative_to(place)) for file in place.rglob("*") if file.is_file()}
    wanted = {"config.json", "tokenizer.json", "model.safetensors", "model.json", "1_Pooling/config.json", "LICENSE"}
    assert taken == wanted
    assert shelf.locate("m").card.pooling == "cls"


def test_a_model_in_shards_is_added_whole(tmp_path):
    directory = encoder_directory(tmp_path / "m")
    (directory / "model.safetensors").unlink()
    shard(directory, {"a": np.ones(3, np.float32)}, {"b": np.zeros(2, np.float32)})
    shelf = Shelf(tmp_path / "home")
    card = shelf.add(directory)
    np.testing.assert_array_equal(Checkpoint(shelf.path("m") / card.weights).tensor("b"), [0, 0])


def test_pickled_weights_without_torch_say_what_to_install(tmp_path):
    if importlib.util.find_spec("torch"):
        pytest.skip("torch is installed")
    directory = encoder_directory(tmp_path / "m")
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")
    with pytest.raises(MissingExtra) as failure:
        Shelf(tmp_path / "home").add(directory)
    assert "ragq[torch]" in failure.value.help
    assert Shelf(tmp_path / "home").list() == []


def test_an_xlmr_model_loses_the_two_positions_that_it_never_uses(tmp_path):
    directory = encoder_directory(tmp_path / "m", model_type="xlm-roberta", max_position_embeddings=514)
    assert Shelf(tmp_path / "home").add(directory).max_tokens == 512


def test_a_gguf_file_is_added_under_a_name_of_choice(tmp_path):
    gguf_file(tmp_path / "Chat.Q4.gguf", {"a": ("Q4_0", np.zeros((1, 32)))})
    shelf = Shelf(tmp_path / "home")
    card = shelf.add(tmp_path / "Chat.Q4.gguf", "chat")
    assert (card.name, card.kind, card.roles) == ("chat", "gguf", ("generate",))
    assert (card.max_tokens, card.licence) == (2048, "mit")
    assert (shelf.path("chat") / card.weights).read_bytes() == (tmp_path / "Chat.Q4.gguf").read_bytes()


def test_a_gguf_file_that_the_runtime_does_not_read_is_repacked_or_refused(tmp_path):
    gguf_file(tmp_path / "mixed.gguf", {"a": ("Q5_0", np.zeros((1, 32)))})
    shelf = Shelf(tmp_path / "home")
    card = shelf.add(tmp_path / "mixed.gguf")
    assert read_header(shelf.path("mixed") / card.weights).unreadable == ()
    gguf_file(tmp_path / "odd.gguf", {"a": ("Q2_K", np.zeros((1, 32)))})
    with pytest.raises(BadRequest, match="Q2_K"):
        shelf.add(tmp_path / "odd.gguf")
    gguf_file(tmp_path / "llama.gguf", {"a": ("Q8_0", np.zeros((1, 32)))}, splitting="llama-bpe")
    with pytest.raises(BadRequest, match="llama-bpe"):
        shelf.add(tmp_path / "llama.gguf")


def test_a_model_may_be_named_by_its_path_without_being_added(tmp_path):
    directory = encoder_directory(tmp_path / "elsewhere")
    assert Shelf(tmp_path / "home").locate(str(directory)).path == directory


def test_what_is_no_model_is_refused_and_leaves_nothing(tmp_path):
    shelf = Shelf(tmp_path / "home")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadRequest, match="not a whole GGUF file"):
        shelf.add(tmp_path / "notes.txt")
    with pytest.raises(BadRequest, match=r"tokenizer\.json.* missing"):
        shelf.add(tmp_path / "empty")
    with pytest.raises(BadRequest, match="'rwkv7'") as failure:
        shelf.add(encoder_directory(tmp_path / "rwkv", model_type="rwkv7"))
    assert "qwen3" in failure.value.help
    with pytest.raises(NotFound):
        shelf.add(tmp_path / "nowhere")
    assert shelf.list() == []


def test_a_taken_name_is_refused(tmp_path):
    shelf = Shelf(tmp_path / "home")
    shelf.add(encoder_directory(tmp_path / "m"))
    with pytest.raises(AlreadyExists):
        shelf.add(tmp_path / "m")


@pytest.mark.parametrize("name", ["../outside", "a/b", "", "UPPER", ".hidden", "a" * 101])
def test_a_name_cannot_leave_the_shelf(tmp_path, name):
    with pytest.raises(BadRequest, match="cannot name a model"):
        Shelf(tmp_path).path(name)


def test_what_a_killed_pull_left_is_no_model_and_goes_after_a_day(tmp_path):
    shelf = Shelf(tmp_path / "home")
    old, fresh = shelf.directory / ".pull-old", shelf.directory / ".pull-fresh"
    old.mkdir(parents=True)
    fresh.mkdir()
    past = old.stat().st_mtime - STALE_S - 60
    os.utime(old, (past, past))
    assert shelf.list() == []
    shelf.add(encoder_directory(tmp_path / "m"))
    assert not old.exists()
    assert fresh.exists()


def test_a_card_that_is_broken_is_named(tmp_path):
    shelf = Shelf(tmp_path)
    (shelf.directory / "m").mkdir(parents=True)
    (shelf.directory / "m" / "model.json").write_text("{")
    with pytest.raises(BadRequest, match=r"model\.json"):
        shelf.locate("m")


@pytest.mark.parametrize("link", [False, True])
def test_a_chat_model_in_safetensors_is_written_as_gguf_once(tmp_path, link):
    directory = llama_directory(tmp_path)
    (directory / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\n---\nlicense: none\n")
    shelf = Shelf(tmp_path / "home")
    card = shelf.add(directory, link=link)
    assert (card.kind, card.roles, card.gguf, card.licence) == (
        "decoder",
        ("generate", "rerank"),
        "model.gguf",
        "apache-2.0",
    )
    assert read_header(shelf.path("chat") / card.chat_weights).settings["general.file_type"] == 7
    assert shelf.locate("chat").card == card
    plain = shelf.add(directory, "plain", dtype="none")
    assert (plain.gguf, plain.chat_weights) == ("", "model.safetensors")
    assert plain.revision not in ("", card.revision)


def test_other_weights_have_another_revision(tmp_path):
    directory = encoder_directory(tmp_path / "m")
    shelf = Shelf(tmp_path / "home")
    first = shelf.add(directory, "first").revision
    save_file({"a": np.zeros(4, np.float32)}, directory / "model.safetensors")
    assert shelf.add(directory, "second").revision != first


def test_a_removed_model_is_gone_and_its_size_told(tmp_path):
    shelf = Shelf(tmp_path / "home")
    shelf.add(encoder_directory(tmp_path / "m"))
    (entry,) = shelf.list()
    assert shelf.remove("m") == entry.num_bytes
    assert shelf.list() == []
    with pytest.raises(ModelNotLoaded):
        shelf.remove("m")


def test_a_compiled_model_is_added_as_it_is(tmp_path):
    path = tmp_path / "compiled"
    path.mkdir()
    (path / "model.bmodel").write_bytes(b"x")
    (path / "tokenizer.json").write_text("{}")
    Bundle("embed", (Net(("embed_s128",), 1, 128),), 8, 9, "bm1684x", "bf16").write(path)
    Card("compiled", "bmodel", ("embed",), weights="model.bmodel", revision="abc").write(path)
    shelf = Shelf(tmp_path / "home")
    assert shelf.add(path, "edge").name == "edge"
    found = shelf.locate("edge")
    assert (found.card.kind, found.card.revision) == ("bmodel", "abc")
    assert {file.name for file in found.path.iterdir()} == {file.name for file in path.iterdir()}
