"""The Index service's client, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from functools import partial, update_wrapper
from typing import Any, Concatenate, ParamSpec

import numpy as np

from .aclient import AsyncClient
from .athreads import Face, Threads, twin
from .index import FINISHED, SEARCH, Hit, Hits, IndexClient, Job, JobRecord, Mode, Search
from .within import Within, within_of

P = ParamSpec("P")


class AsyncJob(Face[Job]):
    """An ingest job that runs in the Index service; this is a view of it."""

    refresh = twin(Job.refresh)
    wait = twin(Job.wait)
    cancel = twin(Job.cancel)

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
) -> Callable[Concatenate[Face[IndexClient], P], Coroutine[Any, Any, AsyncJob]]:
    async def call(self: Face[IndexClient], /, *args: P.args, **kwargs: P.kwargs) -> AsyncJob:
        job = await self._threads.run(partial(method, self._face, *args, **kwargs))
        return AsyncJob(self._threads, job)

    update_wrapper(call, method)
    return call


class AsyncIndex(Face[IndexClient]):
    """Collections, documents and search, awaited."""

    def __init__(self, threads: Threads, face: IndexClient, client: AsyncClient) -> None:
        super().__init__(threads, face)
        self._client = client

    collections = twin(IndexClient.collections)
    create_collection = twin(IndexClient.create_collection)
    delete_collection = twin(IndexClient.delete_collection)
    documents = twin(IndexClient.documents)
    document = twin(IndexClient.document)
    delete_document = twin(IndexClient.delete_document)
    retry_document = _job_twin(IndexClient.retry_document)
    chunks = twin(IndexClient.chunks)
    passage = twin(IndexClient.passage)
    page_image = twin(IndexClient.page_image)
    add = _job_twin(IndexClient.add)
    upload = twin(IndexClient.upload)
    job = _job_twin(IndexClient.job)
    jobs = twin(IndexClient.jobs)
    edit_chunk = twin(IndexClient.edit_chunk)
    merge_chunks = twin(IndexClient.merge_chunks)
    split_chunk = twin(IndexClient.split_chunk)
    switch_chunks = twin(IndexClient.switch_chunks)
    revert_chunk = twin(IndexClient.revert_chunk)
    recut_document = twin(IndexClient.recut_document)
    export_collection = twin(IndexClient.export_collection)
    import_collection = _job_twin(IndexClient.import_collection)
    watch = twin(IndexClient.watch)
    unwatch = twin(IndexClient.unwatch)
    watches = twin(IndexClient.watches)
    reindex = _job_twin(IndexClient.reindex)
    add_vectors = _job_twin(IndexClient.add_vectors)
    check = twin(IndexClient.check)
    find_without = twin(IndexClient.find_without)
    calibrations = twin(IndexClient.calibrations)
    set_calibration = twin(IndexClient.set_calibration)
    forget_calibration = twin(IndexClient.forget_calibration)
    testsets = twin(IndexClient.testsets)
    questions = twin(IndexClient.questions)
    add_questions = twin(IndexClient.add_questions)
    delete_questions = twin(IndexClient.delete_questions)
    delete_testset = twin(IndexClient.delete_testset)
    save_run = twin(IndexClient.save_run)
    runs = twin(IndexClient.runs)
    past_searches = twin(IndexClient.past_searches)
    keep_searches = twin(IndexClient.keep_searches)
    forget_searches = twin(IndexClient.forget_searches)
    web_search = twin(IndexClient.web_search)
    save_turn = twin(IndexClient.save_turn)
    chat = twin(IndexClient.chat)
    chats = twin(IndexClient.chats)
    delete_chat = twin(IndexClient.delete_chat)

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
