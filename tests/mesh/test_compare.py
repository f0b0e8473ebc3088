"""``ragq rerank --compare`` with the classic pair of models, where this machine has them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.conftest import link_models, start_mesh

BI_ENCODER, CROSS_ENCODER = "msmarco-distilbert-base-v3", "ms-marco-MiniLM-L-6-v2"
PASSAGES = ("Click on 'Forgot Password' on the login screen", "Use a strong password with numbers and symbols")


@pytest.mark.mesh
@pytest.mark.models
def test_the_answer_is_a_hundred_times_better_and_yet_no_half_by_itself(tmp_path: Path) -> None:
    link_models(tmp_path / "home", BI_ENCODER, CROSS_ENCODER)
    roles = {"embed": {"name": BI_ENCODER}, "rerank": {"name": CROSS_ENCODER}, "generate": {"name": "none"}}
    live = start_mesh(tmp_path, {"llm": roles, "index": {"enabled": False}}, ["proxy", "llm"])
    try:
        live.wait_ready()
        documents = [word for i, text in enumerate(PASSAGES) for word in ("-i", f"doc{i}: {text}")]
        done = live.run("rerank", "--compare", "--json", "-i", "query: How do I reset my password?", *documents)
        best, other = json.loads(done.stdout)
    finally:
        live.stop()
    assert (best["index"], other["index"]) == (0, 1)
    for row in (best, other):
        assert row["score"] == pytest.approx(1 / (1 + math.exp(-row["logit"])), abs=1e-6)
    assert best["score"] / other["score"] > 100
    assert best["score"] < 0.5
    assert best["similarity"] / other["similarity"] < 5
