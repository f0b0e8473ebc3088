"""The two services of the desk: they hash words, repeat what they are told, and keep documents in dictionaries."""

from __future__ import annotations

import hashlib
import itertools
import re
import zlib
from collections.abc import Generator, Iterator
from typing import Any

import numpy as np

from clients.calibration import Calibration, Calibrations
from clients.checkup import Checked, Checking, Checkup
from clients.errors import NotFound, RagqError
from clients.index import (
    AddTexts,
    AddUploads,
    ChatId,
    Chats,
    Chunk,
    Chunks,
    Collection,
    CollectionName,
    Collections,
    CreateCollection,
    Document,
    DocumentId,
    Documents,
    Hit,
    Hits,
    JobId,
    JobRecord,
    Jobs,
    ListChunks,
    ListDocuments,
    Search,
    Turn,
    Turns,
    Uploaded,
    UploadPart,
)
from clients.llm import (
    Embed,
    Embeddings,
    Extract,
    Extraction,
    Generate,
    Generation,
    ModelInfo,
    Rerank,
    Score,
    Scores,
    Sentence,
    Token,
    Usage,
)
from clients.web import AddUrls, WebResult, WebResults, WebSearch
from clients.wire import Nothing

DIM = 64
GENERATOR = "toy-writer"


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def vector(text: str) -> np.ndarray:
    row = np.zeros(DIM, np.float32)
    for word in words(text):
        row[zlib.crc32(word.encode()) % DIM] += 1
    return row / max(1e-6, float(np.linalg.norm(row)))


class LLMSide:
    """Embeds hashed words and repeats what it is told."""

    def __init__(self) -> None:
        self.error: RagqError | None = None
        self.requests: list[Any] = []
        self.num_tokens = 0
        self.endless = False
        self.max_words = 1000
        self.sharpness, self.offset = 40, 0.0

    def embed_model(self, _: Nothing) -> ModelInfo:
        return ModelInfo("embed", "toy-embed", "toy", dimension=DIM)

    def rerank_model(self, _: Nothing) -> ModelInfo:
        return ModelInfo("rerank", "toy-rerank", "toy")

    def generate_model(self, _: Nothing) -> ModelInfo:
        return ModelInfo("generate", GENERATOR, "toy")

    def embed(self, request: Embed) -> Embeddings:
        self.requests.append(request)
        if request.model not in ("", "toy-embed"):
            raise NotFound(f"no model '{request.model}' is loaded", help="loaded: toy-embed")
        num_words = [len(words(text)) for text in request.texts]
        vectors = np.stack([vector(text) for text in request.texts])
        return Embeddings(vectors, "toy-embed", sum(num_words), self._cut(request.texts))

    def rerank(self, request: Rerank) -> Scores:
        self.requests.append(request)
        return self._scores([request.query] * len(request.documents), request.documents, request.model)

    def score(self, request: Score) -> Scores:
        self.requests.append(request)
        return self._scores(request.queries, request.documents, request.model)

    def _scores(self, queries: list[str], documents: list[str], model: str) -> Scores:
        if model not in ("", "toy-rerank"):
            raise NotFound(f"no model '{model}' is loaded to rerank", help="loaded: toy-rerank")
        cosines = [vector(query) @ vector(document) for query, document in zip(queries, documents, strict=True)]
        logits = self.sharpness * np.array(cosines, np.float32) + np.float32(self.offset)
        num_tokens = sum(len(words(text)) for text in [*queries, *documents])
        probabilities = 1 / (1 + np.exp(-logits))
        return Scores(probabilities, logits, "probability", "toy-rerank", num_tokens, self._cut(documents))

    def _cut(self, texts: list[str]) -> list[int]:
        return [i for i, text in enumerate(texts) if len(words(text)) > self.max_words]

    def extract(self, request: Extract) -> Extraction:
        asked = set(words(request.question))
        found = [
            Sentence(i, 0, len(p), p, len(asked & set(words(p))) / len(asked)) for i, p in enumerate(request.passages)
        ]
        return Extraction(sorted(found, key=lambda s: -s.score)[: request.max_sentences])

    def generate(self, request: Generate) -> Iterator[Token]:
        self.requests.append(request)
        said = request.prompt or request.messages[-1].content
        pieces = itertools.cycle(["again "]) if self.endless else said.split(" ")[: request.max_tokens]
        text = ""
        for piece in pieces:
            self.num_tokens += 1
            text += piece + " "
            yield Token(piece + " ")
        return Generation(text, "stop", GENERATOR, Usage(3, self.num_tokens, 0.1, 0.2))


class IndexSide:
    """Collections in dictionaries; every document is one chunk."""

    def __init__(self) -> None:
        self.error: RagqError | None = None
        self.names: dict[str, Collection] = {}
        self.held: dict[str, dict[str, tuple[Document, str]]] = {}
        self.parts: dict[str, bytes] = {}
        self.job_records: dict[str, JobRecord] = {}
        self.requests: list[Any] = []
        self.turns: list[Turn] = []
        self.fitted: list[Calibration] = []
        self.checked = Checked([])

    def check(self, _: Checkup) -> Generator[Checking, None, Checked]:
        yield Checking("", "records")
        return self.checked

    def collections(self, _: Nothing) -> Collections:
        return Collections([self._counted(name) for name in self.names])

    def _counted(self, name: str) -> Collection:
        held = [document for document, _ in self.held[name].values()]
        num_failed = sum(d.status == "failed" for d in held)
        return Collection(
            name, self.names[name].title, "toy-embed", DIM, "cosine", len(held), len(held) - num_failed, num_failed, 1e9
        )

    def create_collection(self, request: CreateCollection) -> Collection:
        self.names[request.name] = Collection(request.name, request.title)
        self.held.setdefault(request.name, {})
        return self._counted(request.name)

    def delete_collection(self, request: CollectionName) -> Nothing:
        self._need(request.name)
        del self.names[request.name], self.held[request.name]
        return Nothing()

    def _need(self, name: str) -> dict[str, tuple[Document, str]]:
        if name not in self.held:
            raise NotFound(f"no collection '{name}'", help="ragq collections lists them")
        return self.held[name]

    def upload_part(self, request: UploadPart) -> Uploaded:
        self.parts[request.upload_id] = self.parts.get(request.upload_id, b"")[: request.offset] + request.data
        return Uploaded(len(self.parts[request.upload_id]))

    def add_uploads(self, request: AddUploads) -> JobRecord:
        self.requests.append(request)
        return self._add(
            request.collection, [(u.name, self.parts[u.upload_id].decode("utf-8", "replace")) for u in request.uploads]
        )

    def add_texts(self, request: AddTexts) -> JobRecord:
        self.requests.append(request)
        return self._add(request.collection, [(t.name, t.text) for t in request.texts])

    def add_urls(self, request: AddUrls) -> JobRecord:
        self.requests.append(request)
        return self._add(request.collection, [(url, url) for url in request.urls])

    def web_search(self, request: WebSearch) -> WebResults:
        pages = [WebResult(f"Page {n}", f"https://example.org/{n}", request.query) for n in range(request.count)]
        return WebResults([] if request.query == "nothing" else pages, "desk")

    def _add(self, collection: str, texts: list[tuple[str, str]]) -> JobRecord:
        if collection not in self.held:
            self.create_collection(CreateCollection(collection))
        failures, unchanged = [], 0
        for name, text in texts:
            document = self._document(collection, name, text)
            unchanged += document.id in self.held[collection]
            self.held[collection].setdefault(document.id, (document, text))
            failures += [document] if document.status == "failed" else []
        size = sum(len(text.encode()) for _, text in texts)
        num_new = len(texts) - unchanged
        record = JobRecord(
            f"j{len(self.job_records) + 1}", collection, "succeeded", num_new, num_new - len(failures),
            len(failures), unchanged, num_new - len(failures), size, size, failures=failures,
        )  # fmt: skip
        self.job_records[record.id] = record
        return record

    def _document(self, collection: str, name: str, text: str) -> Document:
        key = hashlib.sha256(f"{collection}\0{text}".encode()).hexdigest()[:12]
        if "\0" in text:
            return Document(
                key, collection, name, "application/octet-stream", len(text), "failed", 0, "not a text", "convert it"
            )
        return Document(key, collection, name, "text/plain", len(text), "ready", 1)

    def job(self, request: JobId) -> JobRecord:
        if request.id not in self.job_records:
            raise NotFound(f"no job '{request.id}'")
        return self.job_records[request.id]

    def jobs(self, _: Nothing) -> Jobs:
        return Jobs(list(self.job_records.values()))

    def documents(self, request: ListDocuments) -> Documents:
        held = [
            d
            for d, _ in self._need(request.collection).values()
            if request.status in ("", d.status) and request.keyword in d.name
        ]
        return Documents(held[request.offset :][: request.limit], len(held))

    def delete_document(self, request: DocumentId) -> Nothing:
        for held in self.held.values():
            if held.pop(request.id, None):
                return Nothing()
        raise NotFound(f"no document '{request.id}'")

    def retry_document(self, request: DocumentId) -> JobRecord:
        for collection, held in self.held.items():
            if request.id in held:
                document, _ = held.pop(request.id)
                return self._add(collection, [(document.name, "readable now")])
        raise NotFound(f"no document '{request.id}'")

    def search(self, request: Search) -> Hits:
        self.requests.append(request)
        asked = set(words(request.query))
        found = [
            (len(asked & set(words(text))) / max(1, len(asked)), d, text)
            for d, text in self._need(request.collection).values()
        ]
        found = [f for f in found if f[0] > 0 and f[1].id not in request.without]
        best = sorted(found, key=lambda f: -f[0])[: request.top_k]
        hits = [Hit(f"c-{d.id}", d.id, d.name, text, score, "fused", scores={"dense": score}, ranks={"dense": i})
                for i, (score, d, text) in enumerate(best, 1)]  # fmt: skip
        return Hits(hits, {"dense": 0.002}, best[0][0] if best else 0.0)

    def chunks(self, request: ListChunks) -> Chunks:
        texts = [text for held in self.held.values() for id_, (_, text) in held.items() if id_ == request.document_id]
        return Chunks([Chunk(f"c-{request.document_id}", request.document_id, 0, t, 0, len(t)) for t in texts], 1)

    def calibration(self, request: CollectionName) -> Calibrations:
        self._need(request.name)
        return Calibrations(self.fitted)

    def set_calibration(self, request: Calibration) -> Nothing:
        self._need(request.collection)
        self.fitted = [request]
        return Nothing()

    def forget_calibration(self, request: CollectionName) -> Nothing:
        self._need(request.name)
        self.fitted = []
        return Nothing()

    def save_turn(self, turn: Turn) -> Nothing:
        self.turns.append(turn)
        return Nothing()

    def chat(self, request: ChatId) -> Turns:
        return Turns([turn for turn in self.turns if turn.chat_id == request.id])

    def chats(self, _: Nothing) -> Chats:
        return Chats([])
