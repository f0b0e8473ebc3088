"""``compile.convert`` and ``compile.verify`` as a person runs them, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from clients.errors import AlreadyExists, BadRequest, ConfigError, ModelNotLoaded
from compile import build as building
from compile import convert, verify
from compile import tools as toolbox
from compile.adopt import adopt, one_bmodel
from compile.build import Wish, build
from compile.compiler import mode_of
from compile.convert import parse
from compile.decoder import Decoder, Shape
from compile.source import open_source
from compile.stages import Stages
from compile.tools import Tools, find
from compile.weights import Weights, head_rows
from services.llm.backends.causal import read_causal
from services.llm.backends.sophon.port import Graph, Spec
from services.models import Shelf
from services.models.bundle import read_bundle
from services.models.checkpoint import Checkpoint

from . import checkpoints
from .small_bundles import embedding_checkpoint, reranking_checkpoint


def source_of(directory: Path, *, is_tied: bool = True, prefix: str = "model."):
    tensors = checkpoints.write(directory, is_tied=is_tied, prefix=prefix)
    return tensors, read_causal(directory), Checkpoint(directory / "model.safetensors")


@pytest.mark.parametrize("prefix", ["", "model."])
def test_a_net_names_only_weights_that_are_written_whatever_stands_before_their_keys(tmp_path, prefix):
    tensors, causal, checkpoint = source_of(tmp_path, prefix=prefix)
    written = dict(Weights(causal, checkpoint, 16, (3, 7)).whole())
    text = Decoder(causal, checkpoint, 16, 2, "weights.npz").whole("net", Shape(1, 16)).module
    named = {line.split('loc("')[1].rstrip('")') for line in text.splitlines() if '"top.Weight"' in line}
    assert named == set(written)
    np.testing.assert_array_equal(written["layers.0.mlp.up_proj.weight"], tensors["layers.0.mlp.up_proj.weight"].T)


@pytest.mark.parametrize("is_tied", [True, False])
def test_the_rows_of_no_and_yes_are_those_of_the_head_that_the_model_has(tmp_path, is_tied):
    tensors, causal, checkpoint = source_of(tmp_path, is_tied=is_tied)
    head = tensors["embed_tokens.weight" if is_tied else "lm_head.weight"]
    np.testing.assert_array_equal(head_rows(causal, checkpoint, (270, 272)), head[[270, 272]])


def test_the_final_norm_is_in_every_net_that_gives_a_vector(tmp_path):
    _, causal, checkpoint = source_of(tmp_path)
    decoder = Decoder(causal, checkpoint, 16, 0, "weights.npz")
    for text in (decoder.whole("net", Shape(1, 16)), decoder.tail("net", Shape(1, 16))):
        last = text.module.splitlines()[-4]
        assert '"top.RMSNorm"' in last
        assert 'loc("embedding")' in last
        assert text.exact == ("embedding",)


@pytest.mark.parametrize("memory", ["filled", "read"])
def test_a_net_with_a_memory_gives_and_takes_each_layer_in_16_bits(tmp_path, memory):
    _, causal, checkpoint = source_of(tmp_path)
    text = Decoder(causal, checkpoint, 16, checkpoints.VOCABULARY, "weights.npz", memory).whole("net", Shape(1, 16))
    inputs = [line.split('loc("')[1].rstrip('")') for line in text.module.splitlines() if '"top.Input"' in line]
    past = [f"past_{kind}_{layer}" for layer in range(checkpoints.LAYERS) for kind in ("key", "value")]
    assert inputs == (
        ["input_ids", "position_ids", "attention_mask", *past] if memory == "read"
        else ["input_ids", "last_index", "position_ids", "attention_mask"]
    )  # fmt: skip
    assert text.narrow_inputs == ((4, 5, 6, 7) if memory == "read" else ())
    assert text.narrow_outputs == (2, 3, 4, 5)
    assert text.is_apart


def test_f32_is_refused_with_the_reason():
    with pytest.raises(ConfigError, match=r"wrong vectors in f32 \(cosine -0.07\)"):
        mode_of("f32")


@pytest.mark.parametrize("length", ["0", "x", "0x16", "4x", "1.5"])
def test_a_length_that_is_none_is_refused(length):
    with pytest.raises(ConfigError, match="is no length"):
        parse(length)


def test_a_length_may_be_of_several_texts():
    assert (parse("4x128"), parse("512")) == (Shape(4, 128), Shape(1, 512))


def test_a_chat_model_wants_to_be_told_its_task(tmp_path):
    model = reranking_checkpoint(tmp_path / "model")
    card = model.card
    with pytest.raises(ConfigError, match="cannot 'embed'"):
        open_source(model, "embed")
    assert open_source(model).task == "rerank"
    assert card.roles == ("rerank",)


def test_a_length_beyond_the_model_and_a_place_that_is_taken_are_refused(tmp_path):
    source = open_source(embedding_checkpoint(tmp_path / "model"))
    with pytest.raises(BadRequest, match="reads 200 tokens, not 512"):
        build(source, Wish((Shape(1, 512),)), Stages(Tools(tmp_path)), tmp_path / "out")
    with pytest.raises(AlreadyExists):
        build(source, Wish((Shape(1, 16),)), Stages(Tools(tmp_path)), tmp_path)


def test_tools_that_are_not_there_say_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.delenv(toolbox.VARIABLE, raising=False)
    monkeypatch.setenv("RAGQ_HOME", str(tmp_path))
    with pytest.raises(ModelNotLoaded) as missing:
        find()
    assert "python -m compile.fetch" in str(missing.value)
    result = CliRunner().invoke(convert.main, ["absent-model"])
    assert result.exit_code == 4


@pytest.mark.tpusim
@pytest.mark.timeout(300)
def test_verify_tells_a_model_that_is_right_from_one_that_is_not(rerank_bundle, tools, tmp_path, monkeypatch):
    checkpoint = rerank_bundle.parent / "checkpoint"
    asked = ["--checkpoint", str(checkpoint), "--tokens", "32", "--tools", str(tools.root)]
    result = CliRunner().invoke(verify.main, [str(rerank_bundle), *asked])
    assert result.exit_code == 0, result.output
    assert result.output.startswith("ok   1 x 32 tokens: share of yes off by 0.0")


def blocks(number: int) -> dict[str, Graph]:
    """Graphs of the older layout, as a device shows them."""
    states = Spec("input_states", (1, 512, checkpoints.HIDDEN), "bfloat16")
    return {name: Graph(name, (states,), (states,)) for name in (f"block_{n}" for n in range(number))}


def test_an_older_bmodel_of_blocks_is_described_as_it_is(tmp_path):
    source = open_source(reranking_checkpoint(tmp_path / "checkpoint"))
    bmodel = tmp_path / "older" / "qwen3_bf16_seq512.bmodel"
    bmodel.parent.mkdir()
    bmodel.write_bytes(b"x")
    adopt(source, one_bmodel(bmodel.parent), blocks(checkpoints.LAYERS))
    bundle = read_bundle(bmodel.parent)
    assert bundle.nets[0].steps == ("block_0", "block_1")
    assert (bundle.layout, bundle.file, bundle.dtype, bundle.answers) == ("blocks", bmodel.name, "bf16", (270, 272))
    card = Shelf(tmp_path).locate(str(bmodel.parent)).card
    assert (card.kind, card.weights, card.roles, card.max_tokens) == ("bmodel", bmodel.name, ("rerank",), 256)


def test_a_bmodel_of_another_checkpoint_is_not_adopted(tmp_path):
    source = open_source(reranking_checkpoint(tmp_path / "checkpoint"))
    with pytest.raises(BadRequest, match="has 5 graphs block_N, and the checkpoint has 2 layers"):
        adopt(source, tmp_path / "x.bmodel", blocks(5))
    with pytest.raises(BadRequest, match="holds 0 files"):
        one_bmodel(tmp_path)


@pytest.mark.parametrize(("limit", "in_blocks"), [(1 << 30, False), (1 << 10, True)])
def test_a_model_too_large_for_one_allocation_is_cut_into_layers(tmp_path, monkeypatch, limit, in_blocks):
    monkeypatch.setattr(building, "MAX_NET_BYTES", limit)
    source = open_source(embedding_checkpoint(tmp_path / "model"))
    assert building.is_in_blocks(source, Wish((Shape(1, 16),))) is in_blocks
    assert building.is_in_blocks(source, Wish((Shape(1, 16),), in_blocks=not in_blocks)) is not in_blocks
