"""An LLM service in this process that keeps vectors and scores on disk from one run to the next."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from clients.client import Client
from clients.config import LLM, Config, Model
from clients.llm import LLMClient, ModelInfo, Ranked, Role, RoleName, Sentence
from clients.wire import Method
from services.llm.service import LLMService
from services.service import Call

PART = 256
SAVE_EVERY_S = 60.0
CALL_S = 3600.0


class InProcess:
    """Calls a service's handlers as a mesh would."""

    def __init__(self, service: Any) -> None:
        self._handlers = {method.name: handler for method, handler in service.handlers().items()}

    def call(self, method: Method[Any, Any, Any], request: Any, *, timeout_s: float | None = None) -> Any:
        del timeout_s
        return self._handlers[method.name](request, Call(time.monotonic() + CALL_S))

    def call_many(
        self,
        method: Method[Any, Any, Any],
        requests: Sequence[Any],
        *,
        on_reply: Callable[[int, Any], object] | None = None,
        timeout_s: float | None = None,
    ) -> list[Any]:
        replies = []
        for number, request in enumerate(requests):
            replies.append(self.call(method, request, timeout_s=timeout_s))
            if on_reply is not None:
                on_reply(number, replies[-1])
        return replies


class ExtractingOnce(LLMClient):
    """Asks for the best sentences of a question and its passages once."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._extracted: dict[bytes, list[Sentence]] = {}

    def extract(
        self, question: str, passages: Sequence[str], max_sentences: int = 3, *, timeout_s: float | None = None
    ) -> list[Sentence]:
        """What was said the first time."""
        key = _key(question, str(max_sentences), *passages)
        if key not in self._extracted:
            self._extracted[key] = super().extract(question, passages, max_sentences, timeout_s=timeout_s)
        return self._extracted[key]


class RememberingLLM:
    """The LLM service's models, asked for each text and each pair once.

    Args:
        folder: where vectors and scores lie; it may be thrown away.
        model: of the embedding; the reranker is MaxSim over it.

    Attributes:
        client: the models themselves, for what is not kept on disk.
    """

    def __init__(self, folder: Path, model: str = "multilingual-e5-small") -> None:
        self._service = LLMService(
            Config(llm=LLM(embed=Model(model), rerank=Model("maxsim"), generate=Model("none"), threads=1))
        )
        self._service.start()
        self.client = ExtractingOnce(cast("Client", InProcess(self._service)))
        self._served = self.client.model("embed")
        self._memories = {
            name: _Memory(folder / f"{model}-{name}.npz") for name in ("document", "query", "rerank")
        }  # fmt: skip

    def embed(
        self,
        texts: str | Iterable[str],
        role: Role = "document",
        *,
        model: str = "",
        dimension: int = 0,
        timeout_s: float | None = None,
    ) -> np.ndarray:
        """float32 [n, dim]."""
        del dimension
        asked = [texts] if isinstance(texts, str) else list(texts)
        memory = self._memories[role]
        unknown = list(dict.fromkeys(text for text in asked if _key(text) not in memory.rows))
        for at in range(0, len(unknown), PART):
            part = unknown[at : at + PART]
            memory.put([_key(text) for text in part], self.client.embed(part, role, model=model, timeout_s=timeout_s))
        return np.stack([memory.rows[_key(text)] for text in asked])

    def rerank(
        self,
        query: str,
        documents: Sequence[str],
        top_k: int | None = None,
        *,
        model: str = "",
        timeout_s: float | None = None,
    ) -> list[Ranked]:
        """Documents by their scores, best first."""
        memory = self._memories["rerank"]
        unknown = [text for text in dict.fromkeys(documents) if _key(query, text) not in memory.rows]
        if unknown:
            ranked = self.client.rerank(query, unknown, model=model, timeout_s=timeout_s)
            scores = np.array([[r.score] for r in ranked], np.float32)
            memory.put([_key(query, unknown[r.index]) for r in ranked], scores)
        found = [float(memory.rows[_key(query, text)][0]) for text in documents]
        best = [
            Ranked(int(index), found[index], found[index], documents[index])
            for index in np.argsort(np.negative(found), kind="stable")
        ]
        return best[:top_k]

    def model(self, role: RoleName, *, timeout_s: float | None = None) -> ModelInfo:
        """The embedding model, whichever role is asked for."""
        del role, timeout_s
        return self._served

    def close(self) -> None:
        """Keep what is new."""
        for memory in self._memories.values():
            memory.save()
        self._service.stop()


class _Memory:
    """Rows by the digest of what they were made of, in one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.rows: dict[bytes, np.ndarray] = {}
        self._saved_at, self._num_saved = time.monotonic(), 0
        if path.exists():
            with np.load(path) as file:
                self.rows = dict(zip(map(bytes, file["keys"]), file["rows"], strict=True))
            self._num_saved = len(self.rows)

    def put(self, keys: Sequence[bytes], rows: np.ndarray) -> None:
        with self._lock:
            self.rows.update(zip(keys, np.asarray(rows, np.float32), strict=True))
            if time.monotonic() - self._saved_at > SAVE_EVERY_S:
                self._write()

    def save(self) -> None:
        with self._lock:
            self._write()

    def _write(self) -> None:
        self._saved_at = time.monotonic()
        if len(self.rows) == self._num_saved:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        keys = np.frombuffer(b"".join(self.rows), np.uint8).reshape(len(self.rows), -1)
        part = self._path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, keys=keys, rows=np.stack(list(self.rows.values())))
        part.replace(self._path)
        self._num_saved = len(self.rows)


def _key(*texts: str) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        digest.update(len(text).to_bytes(8, "little") + text.encode("utf-8", "surrogatepass"))
    return digest.digest()
