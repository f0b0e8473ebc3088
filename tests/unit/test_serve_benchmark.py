"""The serving benchmark sends texts that no memory helps with, and judges by the right figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.rigs.rig import Sample
from benchmarks.rigs.rounds import Rounds
from benchmarks.serving import direct, table
from benchmarks.serving.servers import INFINITY, OURS
from benchmarks.serving.texts import LENGTHS, Mix
from services.llm.backends.base import Prepared
from services.llm.backends.toy import ToyEmbedder


@pytest.fixture(scope="module")
def mix(tmp_path_factory: pytest.TempPathFactory) -> Mix:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit

    path: Path = tmp_path_factory.mktemp("words") / "tokenizer.json"
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.save(str(path))
    return Mix(str(path))


@pytest.mark.parametrize("name", list(LENGTHS))
def test_no_text_is_sent_twice_and_lengths_are_those_of_the_mix(mix: Mix, name: str) -> None:
    texts = [text for seed in range(4) for text in mix.texts(name, 250, seed)]
    assert len(set(texts)) == len(texts)
    num_tokens = [len(text.split()) + 2 for text in texts]
    low, high = LENGTHS[name]
    assert low <= min(num_tokens) <= max(num_tokens) <= high
    if name == "documents":
        assert 85 < np.median(num_tokens) < 101
        assert 104 < np.mean(num_tokens) < 120


def test_every_server_gets_the_same_texts_in_a_round(mix: Mix) -> None:
    assert mix.texts("queries", 5, 7) == mix.texts("queries", 5, 7)
    assert mix.texts("queries", 5, 7) != mix.texts("queries", 5, 8)


def test_texts_that_go_through_together_fit_the_budget_and_are_of_like_length() -> None:
    lengths = np.random.default_rng(1).integers(4, 400, 200)
    texts = [Prepared(np.zeros(n, np.int32), 0, int(n)) for n in lengths]
    embedder = ToyEmbedder()
    batches = list(direct.batches(texts, embedder))
    assert sorted(t.num_tokens for batch in batches for t in batch) == sorted(lengths)
    for batch in batches:
        longest = max(t.num_tokens for t in batch)
        assert len(batch) == 1 or len(batch) * longest <= embedder.budget_tokens


def test_promises_are_judged_by_processor_time_and_latency_of_the_peer_by_ours() -> None:
    def sample(cpu_s: float, p50_ms: float) -> list[Sample]:
        return [Sample(10, 1.0, {"server": cpu_s}, {"p50_ms": p50_ms, "p99_ms": p50_ms})]

    case = "documents 32"
    rounds = Rounds({(OURS, case): sample(0.1, 50), (INFINITY, case): sample(0.31, 100)})
    found = {target.name: (ratio, verdict) for target, ratio, verdict in table.judged(rounds, "bf16")}
    assert found["CPU, infinity ÷ ragq, documents, 32 callers"] == (pytest.approx(3.1), "PASS")
    assert found["p50, infinity ÷ ragq, documents, 32 callers"] == (pytest.approx(2.0), "FAIL")
    assert found["CPU, mosec ÷ ragq, documents, 32 callers"] == (None, "not measured")
