"""A mesh whose models are compiled for the chip embeds, reranks and writes, and beats on meanwhile."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from compile.tools import Tools
from services.llm.backends.openvino.causal_embedder import OpenVINOCausalEmbedder
from services.llm.backends.openvino.yes_no_scorer import OpenVINOYesNo
from services.models import Shelved
from tests.conftest import LiveMesh, start_mesh

from .small_bundles import EMBED, GOLDEN, RERANK, cosine, doubled

pytestmark = [pytest.mark.tpusim, pytest.mark.mesh, pytest.mark.timeout(600)]
TEXTS = ["The cat sits on the mat.", "Interest rates rose."]
QUERY = "Where does the cat sit?"
TIMEOUT_S = 200.0


@pytest.fixture(scope="module")
def mesh(
    embed_bundle: Path, rerank_bundle: Path, chat_bundle: Path, tools: Tools, tmp_path_factory
) -> Iterator[LiveMesh]:
    def role(bundle: Path) -> dict[str, object]:
        return {"name": str(bundle), "backend": "sophon", "options": {"driver": "sail"}}

    settings = {
        "llm": {"embed": role(embed_bundle), "rerank": role(rerank_bundle), "generate": role(chat_bundle)},
        "index": {"store": "memory", "sample": False},
    }
    with pytest.MonkeyPatch.context() as patch:
        if "RAGQ_SOPHON_DEVICE" not in os.environ:
            for name, value in doubled(tools).items():
                patch.setenv(name, value)
        live = start_mesh(tmp_path_factory.mktemp("mesh"), settings)
    try:
        live.wait_ready(timeout_s=240)
        yield live
    finally:
        live.stop()


def test_embed_answers_with_the_vectors_of_the_checkpoint(mesh, embed_bundle):
    mesh.client(timeout_s=TIMEOUT_S).llm.embed(TEXTS, "document")  # the command itself waits half a minute only
    done = mesh.run("embed", "--json", "--role", "document", *TEXTS)
    assert done.returncode == 0, done.stderr + mesh.log.read_text()[-2000:]
    exact = OpenVINOCausalEmbedder(Shelved(EMBED, embed_bundle.parent / "checkpoint", 0), dtype="fp32")
    wanted = exact.run(exact.prepare(TEXTS, "document"))
    for found, vector in zip(json.loads(done.stdout), wanted, strict=True):
        assert cosine(np.array(found), vector) >= 0.999


def test_rerank_answers_with_the_shares_of_the_checkpoint(mesh, rerank_bundle):
    mesh.client(timeout_s=TIMEOUT_S).llm.rerank(QUERY, TEXTS)
    docs = [part for text in TEXTS for part in ("-i", f"doc1: {text}")]
    done = mesh.run("rerank", "-i", f"query: {QUERY}", *docs, "--json")
    assert done.returncode == 0, done.stderr + mesh.log.read_text()[-2000:]
    exact = OpenVINOYesNo(Shelved(RERANK, rerank_bundle.parent / "checkpoint", 0), dtype="fp32")
    logits = np.concatenate([exact.run([pair]) for pair in exact.prepare([(QUERY, text) for text in TEXTS])])
    wanted = dict(enumerate(1 / (1 + np.exp(-logits))))
    for found in json.loads(done.stdout):
        assert found["score"] == pytest.approx(wanted[found["index"]], abs=0.02)


def test_generate_writes_the_words_of_transformers_as_they_come_and_tells_its_pace(mesh, chat_bundle):
    tokens = mesh.client(timeout_s=TIMEOUT_S).llm.generate(GOLDEN["chat"]["prompt"], max_tokens=9, stream=True)
    pieces = [token.text for token in tokens]
    answer = tokens.reply
    known = Tokenizer.from_file(str(chat_bundle / "tokenizer.json")).decode(GOLDEN["chat"]["tokens"])
    assert ("".join(pieces), answer.text) == (known, known)
    assert len(pieces) > 3
    assert answer.finish_reason == "length"
    assert 0.0 < answer.usage.token_s < answer.usage.total_s


def test_the_worker_beat_all_the_time(mesh):
    assert mesh.client().status(1.0).ready
    assert "lost" not in mesh.log.read_text()
