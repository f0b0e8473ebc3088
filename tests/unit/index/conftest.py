"""An Index service in this process, with the toy models of the LLM service called without a mesh."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from clients import index as contract
from clients.client import Client
from clients.config import LLM, Config, Index, Model
from clients.index import FINISHED, Chunking, JobRecord, Text
from clients.llm import LLMClient
from clients.wire import Method, Nothing
from services.index.service import IndexService
from services.llm.service import LLMService
from services.service import Call

TOY = LLM(embed=Model("toy", "toy"), rerank=Model("toy", "toy"), generate=Model("none", "toy"))
NOTHING, WHOLE = Nothing(), Chunking()


class InProcess:
    """Calls a service's handlers as a mesh would; ``before`` may raise what a mesh would raise."""

    def __init__(self, service: Any) -> None:
        self._handlers = {method.name: handler for method, handler in service.handlers().items()}
        self.before: Callable[[Method[Any, Any, Any], Any], None] = lambda method, request: None
        self.calls: list[str] = []

    def call(self, method: Method[Any, Any, Any], request: Any, *, timeout_s: float | None = None) -> Any:
        self.calls.append(method.name)
        self.before(method, request)
        return self._handlers[method.name](request, Call(time.monotonic() + (timeout_s or 30.0)))

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


class Desk:
    """What a user does with the Index service, in one process."""

    def __init__(self, home: Path, mesh: InProcess, index: Index) -> None:
        self.home = home
        self.mesh = mesh
        self.service = IndexService(Config(data_dir=str(home), llm=TOY, index=index), LLMClient(cast("Client", mesh)))
        self.service.start()
        self._calls = InProcess(self.service)

    def call(self, method: Method[Any, Any, Any], request: Any = NOTHING) -> Any:
        return self._calls.call(method, request)

    def add(self, *texts: str | Text, collection: str = "papers", chunking: Chunking = WHOLE) -> JobRecord:
        named = [t if isinstance(t, Text) else Text(t[:40], t) for t in texts]
        return cast("JobRecord", self.call(contract.ADD_TEXTS, contract.AddTexts(collection, named, chunking)))

    def add_and_wait(self, *texts: str | Text, collection: str = "papers", chunking: Chunking = WHOLE) -> JobRecord:
        return self.wait(self.add(*texts, collection=collection, chunking=chunking))

    def upload(self, name: str, content: bytes, collection: str = "papers", *, timeout_s: float = 20.0) -> JobRecord:
        import hashlib

        id_ = hashlib.sha256(content).hexdigest()
        for at in range(0, max(1, len(content)), contract.UPLOAD_PART_BYTES):
            part = content[at : at + contract.UPLOAD_PART_BYTES]
            self.call(contract.UPLOAD_PART, contract.UploadPart(id_, at, len(content), part))
        uploads = contract.AddUploads(collection, [contract.Upload(id_, name)])
        return self.wait(self.call(contract.ADD_UPLOADS, uploads), timeout_s)

    def wait(self, job: JobRecord, timeout_s: float = 20.0) -> JobRecord:
        end = time.monotonic() + timeout_s
        while (record := self.job(job.id)).status not in FINISHED:
            assert time.monotonic() < end, record
            time.sleep(0.005)
        return record

    def job(self, id_: str) -> JobRecord:
        return cast("JobRecord", self.call(contract.JOB, contract.JobId(id_)))

    def until(self, condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.005)

    def documents(self, collection: str = "papers", **filters: Any) -> contract.Documents:
        return cast("contract.Documents", self.call(contract.DOCUMENTS, contract.ListDocuments(collection, **filters)))

    def search(
        self, query: str, mode: contract.Mode = "hybrid", collection: str = "papers", **more: Any
    ) -> contract.Hits:
        return cast("contract.Hits", self.call(contract.SEARCH, contract.Search(collection, query, mode=mode, **more)))

    def close(self) -> None:
        self.service.stop()


@pytest.fixture(scope="session")
def toy_llm() -> Iterator[LLMService]:
    service = LLMService(Config(llm=TOY))
    service.start()
    yield service
    service.stop()


@pytest.fixture
def mesh(toy_llm: LLMService) -> InProcess:
    return InProcess(toy_llm)


@pytest.fixture
def open_desk(tmp_path: Path, mesh: InProcess) -> Iterator[Callable[..., Desk]]:
    """Opens desks over one home; closes those that are still open."""
    opened: list[Desk] = []

    def open_one(**settings: Any) -> Desk:
        desk = Desk(tmp_path / "home", mesh, Index(**{"store": "memory", "sample": False, **settings}))
        opened.append(desk)
        return desk

    yield open_one
    for desk in opened:
        if (desk.service._parts.lock._file) is not None:
            desk.close()


@pytest.fixture
def desk(open_desk: Callable[..., Desk]) -> Desk:
    return open_desk()
