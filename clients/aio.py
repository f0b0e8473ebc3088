"""The asyncio twin of the SDK: the same names, awaited.

Models and search are called from the loop itself; what takes several steps runs in a thread of a pool.
Cancelling the task cancels the call at its worker either way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from functools import partial, update_wrapper
from pathlib import Path
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

import numpy as np

from .aclient import AsyncClient
from .allm import AsyncLLM
from .answers import Answer, Event, Round
from .config import Config
from .index import FINISHED, SEARCH, Hit, Hits, IndexClient, Job, JobRecord, Mode, Search
from .mesh import Ragq
from .overview import MeshStatus
from .tuning import TuningClient, TuningJob, TuningMethod
from .waiter import Waiter, waiter
from .within import Within, within_of

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F")
MAX_CALLS = 64


class _Threads:
    """Runs blocking calls for coroutines."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(MAX_CALLS, thread_name_prefix="ragq async")

    async def run(self, function: Callable[[], T]) -> T:
        ours = Waiter()
        context = copy_context()
        context.run(waiter.set, ours)
        work = asyncio.get_running_loop().run_in_executor(self._pool, context.run, function)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            ours.cancel()
            work.cancel()  # it may not have begun
            raise

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


class _Face(Generic[F]):
    def __init__(self, threads: _Threads, face: F) -> None:
        self._threads, self._face = threads, face


def _twin(method: Callable[Concatenate[F, P], T]) -> Callable[Concatenate[_Face[F], P], Coroutine[Any, Any, T]]:
    async def call(self: _Face[F], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._threads.run(partial(method, self._face, *args, **kwargs))

    update_wrapper(call, method)
    return call


class AsyncJob(_Face[Job]):
    """An ingest job that runs in the Index service; this is a view of it."""

    refresh = _twin(Job.refresh)
    wait = _twin(Job.wait)
    cancel = _twin(Job.cancel)

    @property
    def id(self) -> str:
        """The job's id; it outlives this object and the service's process."""
        return self._face.id

    @property
    def record(self) -> JobRecord:
        """Where the job stood when it was last asked."""
        return self._face.record

    @property
    def progress(self) -> float:
        """0 to 1, by bytes."""
        return self._face.progress

    async def follow(self, every_s: float = 0.2) -> AsyncIterator[JobRecord]:
        """Yield the record again and again until the job is finished; the last one is final."""
        while (record := await self.refresh()).status not in FINISHED:
            yield record
            await asyncio.sleep(every_s)
        yield record


def _job_twin(
    method: Callable[Concatenate[IndexClient, P], Job],
) -> Callable[Concatenate[_Face[IndexClient], P], Coroutine[Any, Any, AsyncJob]]:
    async def call(self: _Face[IndexClient], /, *args: P.args, **kwargs: P.kwargs) -> AsyncJob:
        job = await self._threads.run(partial(method, self._face, *args, **kwargs))
        return AsyncJob(self._threads, job)

    update_wrapper(call, method)
    return call


class AsyncIndex(_Face[IndexClient]):
    """Collections, documents and search, awaited."""

    def __init__(self, threads: _Threads, face: IndexClient, client: AsyncClient) -> None:
        super().__init__(threads, face)
        self._client = client

    collections = _twin(IndexClient.collections)
    create_collection = _twin(IndexClient.create_collection)
    delete_collection = _twin(IndexClient.delete_collection)
    documents = _twin(IndexClient.documents)
    document = _twin(IndexClient.document)
    delete_document = _twin(IndexClient.delete_document)
    retry_document = _job_twin(IndexClient.retry_document)
    chunks = _twin(IndexClient.chunks)
    passage = _twin(IndexClient.passage)
    page_image = _twin(IndexClient.page_image)
    add = _job_twin(IndexClient.add)
    upload = _twin(IndexClient.upload)
    job = _job_twin(IndexClient.job)
    jobs = _twin(IndexClient.jobs)
    edit_chunk = _twin(IndexClient.edit_chunk)
    merge_chunks = _twin(IndexClient.merge_chunks)
    split_chunk = _twin(IndexClient.split_chunk)
    switch_chunks = _twin(IndexClient.switch_chunks)
    revert_chunk = _twin(IndexClient.revert_chunk)
    recut_document = _twin(IndexClient.recut_document)
    export_collection = _twin(IndexClient.export_collection)
    import_collection = _job_twin(IndexClient.import_collection)
    watch = _twin(IndexClient.watch)
    unwatch = _twin(IndexClient.unwatch)
    watches = _twin(IndexClient.watches)
    reindex = _job_twin(IndexClient.reindex)
    add_vectors = _job_twin(IndexClient.add_vectors)
    check = _twin(IndexClient.check)
    find_without = _twin(IndexClient.find_without)
    calibrations = _twin(IndexClient.calibrations)
    set_calibration = _twin(IndexClient.set_calibration)
    forget_calibration = _twin(IndexClient.forget_calibration)
    testsets = _twin(IndexClient.testsets)
    questions = _twin(IndexClient.questions)
    add_questions = _twin(IndexClient.add_questions)
    delete_questions = _twin(IndexClient.delete_questions)
    delete_testset = _twin(IndexClient.delete_testset)
    save_run = _twin(IndexClient.save_run)
    runs = _twin(IndexClient.runs)
    past_searches = _twin(IndexClient.past_searches)
    keep_searches = _twin(IndexClient.keep_searches)
    forget_searches = _twin(IndexClient.forget_searches)
    web_search = _twin(IndexClient.web_search)
    save_turn = _twin(IndexClient.save_turn)
    chat = _twin(IndexClient.chat)
    chats = _twin(IndexClient.chats)
    delete_chat = _twin(IndexClient.delete_chat)

    async def search(
        self,
        collection: str,
        query: str,
        top_k: int = 10,
        mode: Mode = "hybrid",
        *,
        rerank: bool = True,
        vector: np.ndarray | None = None,
        within: Within | Sequence[str] | None = None,
        at_least: Mapping[str, float] | None = None,
    ) -> list[Hit]:
        """Find chunks; best first; in the documents ``within`` and with the scores ``at_least`` only."""
        found = await self.find(
            collection, query, top_k, mode, rerank=rerank, vector=vector, within=within, at_least=at_least
        )
        return found.hits

    async def find(  # noqa: PLR0913 - the words of a search
        self,
        collection: str,
        query: str,
        top_k: int = 10,
        mode: Mode = "hybrid",
        *,
        rerank: bool = True,
        vector: np.ndarray | None = None,
        copies: int = 1,
        timeout_s: float | None = None,
        within: Within | Sequence[str] | None = None,
        at_least: Mapping[str, float] | None = None,
    ) -> Hits:
        """As search, with timings, coverage and notes; up to ``copies`` chunks of equal text are among the hits."""
        request = Search(
            collection,
            query,
            top_k,
            mode,
            rerank,
            vector,
            copies,
            within=within_of(within),
            at_least=dict(at_least or {}),
        )
        return await self._client.call(SEARCH, request, timeout_s=timeout_s)


class AsyncTuning(_Face[TuningClient]):
    """Tuning jobs, awaited."""

    job = _twin(TuningClient.job)
    jobs = _twin(TuningClient.jobs)
    cancel = _twin(TuningClient.cancel)

    async def submit(self, method: TuningMethod, *, id: str, base_model: str, data: str, **settings: Any) -> TuningJob:  # noqa: A002 - the word of the contract
        """Start a job; returns at once with its record."""
        return await self._threads.run(
            lambda: self._face.submit(method, id=id, base_model=base_model, data=data, **settings)
        )


class AsyncRagq:
    """A mesh for asyncio programs; see Ragq for the arguments."""

    def __init__(
        self,
        config: str | Path | Config | None = None,
        *,
        llm: str = "",
        index: str = "",
        tuning: str = "",
        timeout_s: float = 30.0,
    ) -> None:
        self._mesh = Ragq(config, llm=llm, index=index, tuning=tuning, timeout_s=timeout_s)
        self._threads = _Threads()
        self._clients: dict[str, AsyncClient] = {}
        self.llm = AsyncLLM(self.client("llm"))
        self.index = AsyncIndex(self._threads, self._mesh.index, self.client("index"))
        self.tuning = AsyncTuning(self._threads, self._mesh.tuning)

    def client(self, service: str) -> AsyncClient:
        """The untyped client of a service, for methods of your own."""
        if service not in self._clients:
            self._clients[service] = AsyncClient.beside(self._mesh.client(service))
        return self._clients[service]

    async def ask(
        self,
        collection: str,
        question: str,
        history: Sequence[Round] = (),
        *,
        within: Within | Sequence[str] | None = None,
        **options: Any,
    ) -> Answer:
        """Answer a question from a collection, or some documents of it, with citations."""
        return await self._threads.run(lambda: self._mesh.ask(collection, question, history, within=within, **options))

    async def ask_stream(
        self,
        collection: str,
        question: str,
        history: Sequence[Round] = (),
        *,
        within: Within | Sequence[str] | None = None,
        **options: Any,
    ) -> AsyncIterator[Event]:
        """As ask, but every event as it comes; leaving the loop cancels."""
        events = self._mesh.ask(collection, question, history, stream=True, within=within, **options)
        async for event in _iterate(self._threads, events, events.cancel):
            yield event

    async def status(self, timeout_s: float = 2.0) -> MeshStatus:
        """What each enabled service says of itself."""
        return await self._threads.run(lambda: self._mesh.status(timeout_s))

    async def close(self) -> None:
        """Close every connection; calls under way end with Cancelled."""
        for client in self._clients.values():
            await client.close()
        await self._threads.run(self._mesh.close)
        self._threads.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


_END: Any = object()


async def _iterate(threads: _Threads, items: Iterator[T], close: Callable[[], None]) -> AsyncIterator[T]:
    try:
        while (item := await threads.run(lambda: next(items, _END))) is not _END:
            yield item
    finally:
        with suppress(ValueError):  # a generator that a thread is still in: its wait was cancelled, it ends by itself
            close()
