"""Are flat FAISS files read and written as FAISS does, and everything else refused by name?"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clients.conversion import check
from clients.errors import BadRequest
from clients.flatindex import FlatIndex, Metric, read_flat, write_flat
from clients.passages import Passage, read_passages, write_passages

ROWS = np.array([[0.6, 0.8, 0.0], [0.0, 1.0, 0.0]], np.float32)
# What faiss-cpu 1.15.1 writes for IndexFlatL2(3) with ROWS.
L2_FILE = b"IxF2" + struct.pack("<iqqqBiQ", 3, 2, 1 << 20, 1 << 20, 1, 1, 6) + struct.pack("<6f", 0.6, 0.8, 0, 0, 1, 0)


@pytest.mark.parametrize("metric", ["ip", "l2"])
def test_what_is_written_is_read(tmp_path: Path, metric: Metric) -> None:
    write_flat(tmp_path / "a.faiss", FlatIndex(metric, ROWS))
    again = read_flat(tmp_path / "a.faiss")
    assert again.metric == metric
    assert again.is_unit
    np.testing.assert_array_equal(again.vectors, ROWS)


def test_the_bytes_are_those_that_faiss_writes(tmp_path: Path) -> None:
    write_flat(tmp_path / "a.faiss", FlatIndex("l2", ROWS))
    assert (tmp_path / "a.faiss").read_bytes() == L2_FILE


@pytest.mark.parametrize("metric", ["ip", "l2"])
def test_faiss_opens_what_we_write_and_we_what_it_writes(tmp_path: Path, metric: Metric) -> None:
    faiss = pytest.importorskip("faiss", reason="pip install 'ragq[faiss]'")
    write_flat(tmp_path / "a.faiss", FlatIndex(metric, ROWS))
    opened = faiss.read_index(str(tmp_path / "a.faiss"))
    np.testing.assert_array_equal(opened.reconstruct_n(0, 2), ROWS)
    assert opened.search(ROWS[1:], 1)[1].tolist() == [[1]]
    made = (faiss.IndexFlatIP if metric == "ip" else faiss.IndexFlatL2)(3)
    made.add(ROWS)
    faiss.write_index(made, str(tmp_path / "b.faiss"))
    assert (tmp_path / "b.faiss").read_bytes() == (tmp_path / "a.faiss").read_bytes()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"IwFl" + bytes(80), "is no flat FAISS index: it begins with b'IwFl'"),
        (b"", "is no flat FAISS index"),
        (L2_FILE[:-1], "is damaged"),
        (L2_FILE.replace(struct.pack("<q", 2), struct.pack("<q", 1 << 40), 1), "is damaged"),
        (L2_FILE[:-4] + struct.pack("<f", float("nan")), "no number"),
    ],
)
def test_what_is_no_flat_index_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "a.faiss").write_bytes(content)
    with pytest.raises(BadRequest, match=reason):
        read_flat(tmp_path / "a.faiss")
    with pytest.raises(BadRequest, match="No such file"):
        read_flat(tmp_path / "none.faiss")


@pytest.mark.parametrize(
    ("given", "passages"),
    [
        (["a", "b"], [Passage("a"), Passage("b")]),
        ([{"text": "a", "source": "s.md"}], [Passage("a", "s.md")]),
        ([{"page_content": "a", "metadata": {"source": "s.md"}}], [Passage("a", "s.md")]),
        ({"passages": [{"passage": "a", "title": "T"}]}, [Passage("a", "T")]),
    ],
)
def test_lists_of_texts_are_read_in_their_shapes(tmp_path: Path, given: Any, passages: list[Passage]) -> None:
    (tmp_path / "texts.json").write_text(json.dumps(given))
    assert read_passages(tmp_path / "texts.json") == passages


def test_what_is_no_list_of_texts_is_refused(tmp_path: Path) -> None:
    for content, reason in (
        ("{}", "no list of texts"),
        ("[1]", "item 0 is no text"),
        ("[{}]", "has no text"),
        ("x", "no JSON"),
    ):
        (tmp_path / "texts.json").write_text(content)
        with pytest.raises(BadRequest, match=reason):
            read_passages(tmp_path / "texts.json")
    with pytest.raises(BadRequest, match="Python objects, which run") as refused:
        read_passages(tmp_path / "texts.npy")
    assert "where you trust the file" in refused.value.help


def test_written_passages_are_read_again(tmp_path: Path) -> None:
    path, passages = tmp_path / "p.json", [Passage("知识库", "s.md", "标题", 2)]
    write_passages(path, passages, texts_only=False)
    assert read_passages(path) == [Passage("知识库", "s.md")]
    write_passages(path, passages, texts_only=True)
    assert json.loads(path.read_text("utf-8")) == ["标题\n知识库"]


def test_files_that_do_not_fit_are_refused() -> None:
    unit, long = FlatIndex("l2", ROWS), FlatIndex("l2", 2 * ROWS)
    texts = [Passage("a"), Passage("b")]
    check(unit, texts, takes_vectors=True)
    check(long, texts, takes_vectors=False)
    with pytest.raises(BadRequest, match="2 vectors, the list 1 texts"):
        check(unit, texts[:1], takes_vectors=True)
    with pytest.raises(BadRequest, match="their distance orders texts in another way") as refused:
        check(long, texts, takes_vectors=True)
    assert "--reembed" in refused.value.help
    with pytest.raises(BadRequest, match="inner product orders"):
        check(FlatIndex("ip", 2 * ROWS), texts, takes_vectors=True)
    with pytest.raises(BadRequest, match="no text in the list"):
        check(unit, [Passage(" "), Passage("")], takes_vectors=True)
