"""Do codes find what a scan finds, whatever was added, replaced and deleted, and however alike vectors are?"""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.errors import BackendError
from services.index.stores.base import Among, unit_rows
from services.index.stores.memory import MemoryStore
from services.index.stores.rotation import balanced
from services.llm.backends.toy import ToyEmbedder

pytest.importorskip("faiss", reason="pip install 'ragq[faiss]'")
from services.index.stores.codes import CANDIDATES, Codes

DIMENSION = 16
ASKED = """
import {}
faiss.IndexFlatIP(4)
try:
    openvino_genai.LLMPipeline("/nowhere", "CPU")
except RuntimeError:
    print("told")
"""


def rows(count: int, seed: int = 0, dimension: int = DIMENSION) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).standard_normal((count, dimension)))


def named(count: int) -> list[str]:
    return [f"v{i}" for i in range(count)]


def lost(codes: Codes, vectors: np.ndarray, questions: np.ndarray, k: int = 10) -> float:
    """The share of the nearest that is not found; of equal scores any will do."""
    found = codes.nearest(questions, k)
    least = np.sort(questions @ vectors.T, axis=1)[:, -k]
    right = [sum(hit.score >= score - 1e-6 for hit in near) for near, score in zip(found, least, strict=True)]
    return 1 - float(np.mean(right)) / k


@pytest.fixture(scope="module")
def templated() -> np.ndarray:
    """Chroma's graph with its defaults loses 19 % of these."""
    texts = [f"File {n} tells of subject {n * 7 + i} in sentence {i}." for n in range(250) for i in range(12)]
    toy = ToyEmbedder()
    return unit_rows(np.stack(toy.run(toy.prepare(texts, "document"))))


def test_templated_sentences_are_all_found_by_their_own_vectors(templated: np.ndarray) -> None:
    codes = Codes(named(len(templated)), templated.copy())
    assert all(near[0].score > 0.9999 for near in codes.nearest(templated, 10))
    assert lost(codes, templated, templated[::10]) < 0.01


@pytest.mark.parametrize("dimension", [24, 100, 384])
def test_vectors_with_few_strong_directions_are_found(dimension: int) -> None:
    """As those of language models are: a large common part, and variances that fall quickly."""
    spread = (1 / np.arange(1, dimension + 1)) ** 0.7
    made = np.random.default_rng(1).standard_normal((6000, dimension)) * spread + 0.5 * spread[0]
    turn = np.linalg.qr(np.random.default_rng(2).standard_normal((dimension, dimension)))[0]
    vectors = unit_rows(made @ turn)
    questions = unit_rows(vectors[:200] + 0.3 * vectors.std() * rows(200, 3, dimension))
    assert lost(Codes(named(6000), vectors.copy()), vectors, questions) < 0.02


def test_thousands_that_have_the_same_codes_are_told_apart() -> None:
    """Rows of one long table: each nearer to the others than the codes can tell."""
    table = unit_rows(rows(1) + 0.01 * rows(4000, seed=1))
    vectors = np.concatenate([table, rows(8000, seed=2)])
    codes = Codes(named(len(vectors)), vectors.copy())
    found = codes.nearest(table[::40], 3)
    assert [near[0].id for near in found] == [f"v{i}" for i in range(0, 4000, 40)]
    assert lost(codes, vectors, table[::40]) < 0.02


def test_many_hits_are_found_as_well_as_few() -> None:
    vectors = rows(5000)
    codes = Codes(named(5000), vectors.copy())
    for k in (1, 100, CANDIDATES, 1200, 6000):
        near = codes.nearest(vectors[:3], k)
        assert [len(own) for own in near] == [min(k, 5000)] * 3
        assert all(own == sorted(own, key=lambda hit: -hit.score) for own in near)
        assert lost(codes, vectors, vectors[:20], min(k, 5000)) < 0.01


def test_after_deleting_half_and_adding_again_the_other_half_is_still_there() -> None:
    """More deleted in one place than there are candidates: none of them may take a place of those that stay."""
    near, far = unit_rows(rows(1) + 0.05 * rows(3000, seed=1)), rows(3000, seed=2)
    vectors = np.concatenate([near, far])
    codes = Codes(named(6000), vectors.copy())
    codes.remove([f"v{i}" for i in range(3000) if i % 100])
    kept = np.array([*range(0, 3000, 100), *range(3000, 6000)])
    assert len(codes) == len(kept)
    assert lost(codes, vectors[kept], near[::50]) < 0.01
    found = {hit.id for own in codes.nearest(near[::50], 50) for hit in own}
    assert found <= {f"v{i}" for i in kept}
    codes.put(named(3000), near)
    assert lost(codes, vectors, near[::50]) < 0.01


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 3000), min_size=1, max_size=300)), max_size=8))
def test_any_series_of_changes_leaves_what_a_scan_finds(steps: list[tuple[bool, list[int]]]) -> None:
    first = rows(2000, seed=50)
    codes, plain = Codes(named(2000), first.copy()), MemoryStore()
    plain.create("a")
    plain.upsert("a", named(2000), first)
    for number, (is_put, keys) in enumerate(steps):
        ids, vectors = [f"v{key}" for key in keys], rows(len(keys), seed=number + 1)
        if is_put:
            codes.put(ids, vectors)
            plain.upsert("a", ids, vectors)
        else:
            codes.remove(ids)
            plain.delete("a", ids)
    assert len(codes) == plain.count("a")
    ids, held = plain.read("a")
    assert [near[0].id for near in codes.nearest(held[::20], 1)] == ids[::20]
    question, few = rows(2, seed=99), [f"v{key}" for key in range(0, 31, 3)]
    among = Among(few)
    for _ in range(2):
        for mine, right in zip(codes.among(question, 3, among), plain.query("a", question, 3, few), strict=True):
            assert [near.id for near in mine] == [near.id for near in right]


def test_emptied_codes_can_be_filled_again() -> None:
    codes = Codes(named(1500), rows(1500))
    codes.remove(named(1500))
    assert codes.nearest(rows(2), 5) == [[], []]
    codes.put(named(1500), rows(1500, seed=1))
    assert [near[0].id for near in codes.nearest(rows(1500, seed=1), 1)] == named(1500)


def test_a_filter_that_is_kept_sees_what_changed() -> None:
    codes, among = Codes(named(50), rows(50)), Among(named(50))
    assert codes.among(rows(50)[3:4], 1, among)[0][0].id == "v3"
    codes.remove(["v3"])
    assert codes.among(rows(50)[3:4], 1, among)[0][0].id != "v3"


@pytest.mark.process
def test_an_error_of_openvino_in_the_same_process_is_one() -> None:
    """Beside another library for vectors it was a segmentation fault."""
    for order in ("faiss, openvino_genai", "openvino_genai, faiss"):
        done = subprocess.run([sys.executable, "-c", ASKED.format(order)], capture_output=True, text=True, check=True)
        assert done.stdout == "told\n"


def test_another_dimension_is_an_error() -> None:
    codes = Codes(named(5), rows(5))
    with pytest.raises(BackendError, match="dimension 3"):
        codes.nearest(np.ones((1, 3), np.float32), 1)
    with pytest.raises(BackendError, match="dimension 3"):
        codes.put(["x"], np.ones((1, 3), np.float32))


@pytest.mark.parametrize(("dimension", "groups"), [(12, 4), (13, 4), (8, 8), (384, 128)])
def test_a_rotation_keeps_products_and_balances_the_groups(dimension: int, groups: int) -> None:
    spread = (1.0 / np.arange(1, dimension + 1)).astype(np.float32)
    sample = np.random.default_rng(0).standard_normal((3000, dimension)).astype(np.float32) * spread + 1
    turned = sample @ balanced(sample, groups)
    assert turned.shape[1] % groups == 0
    assert np.allclose(turned[:50] @ turned[:50].T, sample[:50] @ sample[:50].T, rtol=1e-3)
    variances = np.sort(turned.var(axis=0).reshape(groups, -1), axis=1)
    if dimension == groups * variances.shape[1] and dimension > groups:
        products = np.log(variances).sum(axis=1)
        plain = np.log(sample.var(axis=0).reshape(groups, -1)).sum(axis=1)
        assert np.ptp(products) < 0.5 * np.ptp(plain)
