"""How does a flat FAISS index with its texts become a packed collection, and a packed collection such files?"""

from __future__ import annotations

import hashlib
import json
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from .errors import BadRequest
from .flatindex import FlatIndex
from .ingest import DEFAULT_CHUNK_SIZE
from .llm import LLMClient
from .packed import CHUNKS, DOCUMENTS, MANIFEST, ORIGINALS, VECTORS, Manifest, PackedChunk, PackedDocument
from .passages import Passage

# Passages of unknown origin make documents of so many.
DOCUMENT_PASSAGES = 1000
SAMPLE = 8
# Equal models give equal vectors but for rounding; another model's, or another way to pool, are far from that.
SAME_MODEL = 0.99
PARAGRAPH = "\n\n"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether vectors can be taken over, and why not.

    Attributes:
        model: whose they are; empty when they cannot.
    """

    model: str
    reason: str = ""


def verdict(llm: LLMClient, index: FlatIndex, passages: Sequence[Passage]) -> Verdict:
    """Whether the model that serves made these vectors: a few texts are embedded and compared.

    Raises:
        RagqError: the LLM service cannot be asked.
    """
    model = llm.model("embed").name
    texts = [number for number, passage in enumerate(passages) if passage.text.strip()]
    sample = texts[:: max(1, len(texts) // SAMPLE)][:SAMPLE]
    made = llm.embed([passages[number].text for number in sample])
    if made.shape[1] != index.vectors.shape[1]:
        return Verdict("", f"they have {index.vectors.shape[1]} numbers, those of {model} have {made.shape[1]}")
    cosine = float(np.min(np.sum(made * index.vectors[sample], axis=1)))
    if cosine < SAME_MODEL:
        return Verdict("", f"{model} makes other vectors of the same texts (cosine {cosine:.2f})")
    return Verdict(model)


def check(index: FlatIndex, passages: Sequence[Passage], *, takes_vectors: bool) -> None:
    """BadRequest when the files do not belong together, or their order is none that a collection can give."""
    if len(index.vectors) != len(passages):
        raise BadRequest(
            f"the index has {len(index.vectors)} vectors, the list {len(passages)} texts",
            help="give the list that the index was made of",
        )
    if not any(passage.text.strip() for passage in passages):
        raise BadRequest("there is no text in the list")
    if takes_vectors and not index.is_unit:
        how = "inner product" if index.metric == "ip" else "distance"
        raise BadRequest(
            f"the vectors do not have length one, so their {how} orders texts in another way than cosine does",
            help="embed the texts anew: --reembed",
        )


def pack(path: Path, name: str, passages: Sequence[Passage], vectors: np.ndarray | None, model: str) -> None:
    """Write a packed collection whose documents are made of passages; texts without words are left out.

    Args:
        path: the file to write.
        name: of the collection; of documents too, where passages do not say where they are from.
        passages: in the order of the vectors.
        vectors: float32 [n, dim], of length one; None lets them be made where the file comes in.
        model: that made them.
    """
    documents = list(_documents(name, passages))
    rows = [number for document in documents for number in document.numbers]
    manifest = Manifest(
        name, name, model, 0 if vectors is None else vectors.shape[1],
        len(documents), len(rows), 0 if vectors is None else len(rows),
    )  # fmt: skip
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as file:
        file.writestr(DOCUMENTS, "".join(_line(asdict(document.record())) for document in documents))
        file.writestr(CHUNKS, "".join(_line(asdict(chunk)) for document in documents for chunk in document.chunks))
        if vectors is not None:
            file.writestr(zipfile.ZipInfo(VECTORS), np.ascontiguousarray(vectors[rows], "<f4").tobytes())
        for document in documents:
            file.writestr(ORIGINALS + document.sha256, document.content)
        file.writestr(MANIFEST, json.dumps(asdict(manifest), ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class _Document:
    """Passages of one origin, as one text."""

    name: str
    content: bytes
    sha256: str
    chunks: list[PackedChunk]
    numbers: list[int]

    def record(self) -> PackedDocument:
        return PackedDocument(
            self.name, "text/plain", self.sha256, len(self.content), "", len(self.chunks),
            DEFAULT_CHUNK_SIZE, 0, by_line=False, created_at=time.time(), strategy="paragraphs",
        )  # fmt: skip


def _documents(name: str, passages: Sequence[Passage]) -> Iterator[_Document]:
    """A document for each origin; those of the same text are one."""
    seen = set()
    for title, numbers in _groups(name, passages):
        document = _document(title, passages, numbers)
        if document.sha256 not in seen:
            seen.add(document.sha256)
            yield document


def _groups(name: str, passages: Sequence[Passage]) -> Iterator[tuple[str, list[int]]]:
    by_source: dict[str, list[int]] = {}
    for number, passage in enumerate(passages):
        if passage.text.strip():
            by_source.setdefault(passage.source, []).append(number)
    unnamed = by_source.pop("", [])
    for first in range(0, len(unnamed), DOCUMENT_PASSAGES):
        title = f"{name} {first // DOCUMENT_PASSAGES + 1}" if len(unnamed) > DOCUMENT_PASSAGES else name
        yield title, unnamed[first : first + DOCUMENT_PASSAGES]
    yield from by_source.items()


def _document(title: str, passages: Sequence[Passage], numbers: list[int]) -> _Document:
    chunks, at = [], 0
    for number in numbers:
        text = passages[number].text.strip()
        chunks.append(PackedChunk(text, at, at + len(text), 0, ""))
        at += len(text) + len(PARAGRAPH)
    content = PARAGRAPH.join(chunk.text for chunk in chunks).encode("utf-8", "replace")
    return _Document(title, content, hashlib.sha256(content).hexdigest(), chunks, numbers)


def _line(record: dict[str, object]) -> str:
    return json.dumps(record, ensure_ascii=True) + "\n"


def unpack(path: Path) -> tuple[list[Passage], np.ndarray]:
    """The passages of a packed collection, and their vectors, float32 [n, dim]; disabled chunks are left out."""
    with zipfile.ZipFile(path) as file:
        manifest = json.loads(file.read(MANIFEST))
        documents = [json.loads(line) for line in file.read(DOCUMENTS).splitlines()]
        chunks = [json.loads(line) for line in file.read(CHUNKS).splitlines()]
        raw = file.read(VECTORS) if manifest["num_vectors"] else b""
    names = [document["name"] for document in documents for _ in range(document["num_chunks"])]
    wanted = [number for number, chunk in enumerate(chunks) if chunk["is_enabled"]]
    vectors = np.frombuffer(raw, "<f4").reshape(-1, manifest["dimension"] or 1)
    passages = [Passage(chunks[n]["text"], names[n], chunks[n]["heading"], chunks[n]["page"]) for n in wanted]
    return passages, vectors[wanted] if len(vectors) else vectors
