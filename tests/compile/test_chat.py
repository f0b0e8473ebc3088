"""A chat model that is compiled remembers on the device what it read, and keeps what every generator promises."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from clients.config import Model
from clients.errors import BackendError, BadRequest, Cancelled, ConfigError, DeadlineExceeded, TooLarge
from clients.llm import Generate, Generation
from compile import verify
from compile.build import Wish, build
from compile.decoder import Shape
from compile.source import open_source
from compile.stages import Stages
from compile.tools import Tools
from services.llm.backends import registry
from services.llm.backends.registry import Site
from services.llm.backends.sophon.chat import SophonChat
from services.llm.backends.sophon.options import Options
from services.llm.backends.sophon.recall import Recalls
from services.models import Shelf
from services.models.bundle import BMODEL, read_bundle
from services.models.checkpoint import Checkpoint
from services.service import Call
from tests.contract import test_backends as contract

from .checkpoints import as_bf16
from .small_bundles import GOLDEN, chat_checkpoint, compiled, cosine, doubled

pytestmark = [pytest.mark.tpusim, pytest.mark.timeout(300)]
KNOWN = GOLDEN["chat"]
LONGEST = 64


@pytest.fixture(scope="module", params=["simulator", "sail"])
def generator(request: pytest.FixtureRequest, chat_bundle: Path, tools: Tools) -> Iterator[SophonChat]:
    """SAIL is the real one on a machine that has a device: RAGQ_SOPHON_DEVICE=0."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "sail" and "RAGQ_SOPHON_DEVICE" not in os.environ:
            for name, value in doubled(tools).items():
                patch.setenv(name, value)
        with closing(writer(chat_bundle, tools, request.param)) as made:
            yield made


def writer(bundle: Path, tools: Tools, driver: str = "simulator", **options: object) -> SophonChat:
    libraries = {"libraries": str(tools.libraries)} if driver == "simulator" else {}
    settings = Model(str(bundle), "sophon", options={"driver": driver, **libraries, **options})
    site = Site(Shelf(bundle.parent), 1, bundle.parent / "cache")
    return registry.backend("sophon").generator(settings, site)


def soon(timeout_s: float = 200.0) -> Call:
    return Call(time.monotonic() + timeout_s)


def written(generator: SophonChat, **request: object) -> Generation:
    return contract.written(generator, Generate(**{"prompt": KNOWN["prompt"], "max_tokens": 9, **request}), soon())[1]


class TestContract(contract.TestGenerator):
    """What every backend promises."""


def test_it_writes_the_likeliest_words_of_transformers(generator):
    answer = written(generator)
    assert answer.text == generator._prompt.spell(KNOWN["tokens"])
    usage = answer.usage
    assert (answer.finish_reason, usage.completion_tokens, usage.prompt_tokens) == ("length", 9, 14)
    assert 0.0 < usage.first_token_s < usage.total_s
    assert 0.0 < usage.token_s < usage.total_s


def test_the_logits_of_every_step_are_those_of_transformers_with_its_own_memory(chat_bundle, tools, tmp_path):
    """The ninth token's step goes beyond the shorter net, so both lengths read one memory."""
    options = Options("simulator", libraries=str(tools.libraries))
    found = read_bundle(chat_bundle)
    with closing(Recalls(found, chat_bundle / BMODEL, options, tmp_path)) as recalls, recalls.lent(soon()) as recall:
        prompt = KNOWN["ids"]
        logits = [recall.read(prompt)]
        logits += [recall.expand([0], [token])[0] for token in KNOWN["tokens"][:-1]]
    for ours, wanted, token in zip(logits, KNOWN["logits"], KNOWN["tokens"], strict=True):
        assert cosine(ours[KNOWN["told"]], np.array(wanted)) >= 0.999
        assert ours.argmax() == token


def test_what_does_not_fit_with_its_answer_is_refused_and_what_fits_ends_at_the_edge(generator):
    with pytest.raises(TooLarge, match="takes 64 with the answer"):
        generator.generate(Generate(prompt="cat " * 200), soon())
    answer = written(generator, max_tokens=500)
    assert answer.usage.prompt_tokens + answer.usage.completion_tokens == LONGEST
    assert answer.finish_reason == "length"


def test_beams_are_refused_by_name(generator):
    with pytest.raises(BadRequest, match="unsupported control 'beams' of backend sophon"):
        written(generator, beams=2)


def test_who_waits_for_a_memory_may_leave(chat_bundle, tools):
    with closing(writer(chat_bundle, tools, answers=1)) as chat:
        first = chat.generate(Generate(prompt=KNOWN["prompt"], max_tokens=100), soon())
        next(first)
        gone = soon()
        gone.cancelled.set()
        with pytest.raises(Cancelled):
            contract.written(chat, Generate(prompt="x"), gone)
        with pytest.raises(DeadlineExceeded):
            contract.written(chat, Generate(prompt="x"), soon(0.3))
        first.close()
        assert written(chat).text == chat._prompt.spell(KNOWN["tokens"])


def test_a_device_that_dies_ends_the_answers_that_it_remembered_and_no_other(chat_bundle, tools):
    with closing(writer(chat_bundle, tools)) as chat:
        streams = [chat.generate(Generate(prompt=prompt, max_tokens=50), soon()) for prompt in ("x", KNOWN["prompt"])]
        for stream in streams:
            next(stream)
        (device,) = chat._recalls._pool._devices
        os.kill(device._process.pid, signal.SIGKILL)
        for stream, message in zip(
            streams, ("ended with signal SIGKILL", "what the answer had read is gone"), strict=True
        ):
            with pytest.raises(BackendError, match=message):
                list(stream)
        assert written(chat).text == chat._prompt.spell(KNOWN["tokens"])


def test_a_model_cut_into_layers_remembers_too(tools, tmp_path):
    model = chat_checkpoint(tmp_path / "checkpoint", layers=1)
    place = compiled(tools, model, tmp_path / "bundle", Shape(1, 16), in_blocks=True)
    (net,) = read_bundle(place).nets
    assert net.steps == ("words_s16", "block_0_s16", "chat_s16")
    assert net.more == ("words_more_s16", "block_0_more_s16", "chat_more_s16")
    asked = ["--checkpoint", str(tmp_path / "checkpoint"), "--tools", str(tools.root)]
    result = CliRunner().invoke(verify.main, [str(place), *asked])
    assert result.exit_code == 0, result.output
    assert result.output.startswith("ok   1 x 16 tokens: cosine 0.99")


def test_the_weights_of_reading_and_going_on_are_stored_once(chat_bundle):
    checkpoint = Checkpoint(chat_bundle.parent / "checkpoint" / "model.safetensors")
    row = checkpoint.float32("embed_tokens.weight")[7]
    assert (chat_bundle / BMODEL).read_bytes().count(as_bf16(row).tobytes()) == 1


def test_a_chat_model_is_not_compiled_for_several_texts_at_once(tools, tmp_path):
    model = chat_checkpoint(tmp_path / "checkpoint")
    with pytest.raises(BadRequest, match="reads one text at a time"):
        build(open_source(model), Wish((Shape(4, 16),)), Stages(tools), tmp_path / "bundle")


def test_a_chat_model_cannot_embed(chat_bundle, tools):
    settings = Model(str(chat_bundle), "sophon", options={"driver": "simulator", "libraries": str(tools.libraries)})
    with pytest.raises(ConfigError, match="compiled for the task chat, not embed"):
        registry.backend("sophon").embedder(settings, Site(Shelf(chat_bundle.parent), 1, chat_bundle.parent))
