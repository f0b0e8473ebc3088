"""A model compiled for the next token writes what its checkpoint writes, and stops when the net is full."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from tokenizers import Tokenizer

from clients.config import Model
from clients.errors import TooLarge
from clients.llm import Generate, Generation
from compile.build import Wish, build
from compile.decoder import Shape
from compile.reference import reference
from compile.source import open_source
from compile.stages import Stages
from services.llm.backends import registry
from services.llm.backends.registry import Site
from services.models import Shelf
from services.service import Call

from .small_bundles import reranking_checkpoint

pytestmark = [pytest.mark.tpusim, pytest.mark.timeout(300)]
PROMPT = "The cat sits on the"


def test_the_likeliest_words_follow_one_another_as_the_checkpoint_has_them(tools, tmp_path):
    model = reranking_checkpoint(tmp_path / "checkpoint")
    model = replace(model, card=replace(model.card, roles=("generate", "rerank")))
    source = open_source(model, "next")
    build(source, Wish((Shape(1, 16),)), Stages(tools), tmp_path / "bundle")
    tokenizer = Tokenizer.from_file(str(tmp_path / "bundle" / "tokenizer.json"))
    exact, ids = reference(source, model), tokenizer.encode(PROMPT).ids
    prompt = len(ids)
    for _ in range(2):
        ids.append(int(exact(np.array(ids, np.int32)).argmax()))
    options = {"driver": "simulator", "libraries": str(tools.libraries)}
    settings = Model(str(tmp_path / "bundle"), "sophon", options=options)
    site = Site(Shelf(tmp_path), 1, tmp_path / "cache")
    with closing(registry.backend("sophon").generator(settings, site)) as writer:
        written = finished(writer.generate(Generate(prompt=PROMPT, max_tokens=2, temperature=0.0), soon()))
        with pytest.raises(TooLarge, match="takes 16 with the answer"):
            writer.generate(Generate(prompt="cat " * 40), soon())
    assert written.text == tokenizer.decode(ids[prompt:])
    assert (written.finish_reason, written.usage.completion_tokens) == ("length", 2)


def soon() -> Call:
    return Call(time.monotonic() + 200)


def finished(stream) -> Generation:
    while True:
        try:
            next(stream)
        except StopIteration as end:
            return end.value
