"""How is a collection embedded anew by another model, while it is searched by the one that it has?"""

from __future__ import annotations

from clients.errors import BadRequest, RagqError
from clients.index import Chunking
from clients.wire import Clock

from .catalog import Catalog, Shelf
from .chunks import Stored
from .embedding import LLM, Embedding, GaveUp, Maker, Pace, serving_model
from .jobs import OpenJob
from .publishing import Publisher
from .shadows import Shadow, Shadows

PROBE = "How many numbers does a vector have?"


class Reindexer:
    """Makes the shadows of collections step by step, each on record before the next.

    What is added, changed or deleted meanwhile goes to the present vectors as ever, and is caught up with before the
    shadow takes their place.

    Args:
        catalog: the records.
        publisher: writes to the stores.
        llm: tells which model serves, and tries another one.
        embedding: embeds the chunks.
        clock: seconds, rising.
    """

    def __init__(self, catalog: Catalog, publisher: Publisher, llm: LLM, embedding: Embedding, clock: Clock) -> None:
        self._catalog = catalog
        self._publisher = publisher
        self._llm = llm
        self._embedding = embedding
        self._clock = clock
        self._shadows = Shadows(catalog.database)
        self._pace = Pace()
        self._reached: dict[str, int] = {}

    def begin(self, shelf: Shelf, model: str, timeout_s: float) -> str:
        """Put a re-index on record, unless the same one runs already; the id of its job.

        Args:
            shelf: the collection.
            model: its next embedding model; empty means the one that serves.
            timeout_s: for that model to be loaded, and to work once.

        Raises:
            BadRequest: the collection has no vectors, or another re-index of it runs.
            NotFound, ModelNotLoaded: the model is not here, or cannot be loaded.
        """
        if not shelf.model:
            raise BadRequest(f"the collection '{shelf.name}' has no vectors yet", help="add documents to it")
        model = model or serving_model(self._llm, timeout_s)
        dimension = self._llm.embed([PROBE], model=model, timeout_s=timeout_s).shape[1]
        with self._catalog.database.write() as tx:
            running = self._shadows.of(shelf.id)
            if running is not None:
                return _same(running, model)
            job = self._catalog.jobs.open(tx, shelf.id, shelf.name, Chunking(), "reindex", model=model)
            self._shadows.begin(tx, shelf, model, dimension, job.id)
        return job.id

    def step(self, job: OpenJob) -> bool:
        """Embed the next chunks, or let the shadow take its place when there are none; whether anything was done."""
        shadow = self._shadows.of_job(job.id)
        if shadow is None:
            return False
        try:
            if chunks := self._next(shadow):
                self._embed(shadow, chunks)
            else:
                self._swap(shadow)
        except GaveUp as error:  # hours of work are not thrown away: it goes on when the LLM service is back
            self._catalog.jobs.note(job.id, f"waiting for the LLM service: {error.message}")
            return False
        except RagqError as error:
            self._fail(shadow, error)
        return True

    def clean(self) -> bool:
        """Delete vectors on record that a swap or a cancelled re-index left; False when there are none."""
        return self._catalog.generations.clean()

    def _next(self, shadow: Shadow) -> list[Stored]:
        """The next chunks, from the first again when the last was reached: one may have come or changed meanwhile."""
        reached = self._reached.get(shadow.job_id, -1)
        chunks = self._shadows.next_to_embed(shadow, reached, self._pace.size)
        if not chunks and reached >= 0:
            chunks = self._shadows.next_to_embed(shadow, -1, self._pace.size)
        if chunks:
            self._reached[shadow.job_id] = chunks[-1].key
        else:
            self._reached.pop(shadow.job_id, None)
        return chunks

    def _embed(self, shadow: Shadow, chunks: list[Stored]) -> None:
        new, started = shadow.shelf, self._clock()
        self._catalog.jobs.note(shadow.job_id, "embedding anew")

        def waiting(stage: str) -> bool:
            self._catalog.jobs.note(shadow.job_id, stage)
            return self._catalog.jobs.is_open(shadow.job_id)

        once = list({chunk.entry: chunk for chunk in chunks}.values())
        contents = [chunk.content for chunk in once]
        _, vectors = self._embedding.documents(contents, waiting, Maker(new.model, new.dimension))
        self._shadows.put(shadow, once, vectors)
        self._publisher.shade(shadow, [chunk.entry for chunk in once])
        self._pace.took(len(once), self._clock() - started)

    def _swap(self, shadow: Shadow) -> None:
        self._catalog.jobs.note(shadow.job_id, "storing")
        self._publisher.swap(shadow, lambda tx: self._catalog.jobs.end(tx, shadow.job_id))

    def _fail(self, shadow: Shadow, error: RagqError) -> None:
        with self._catalog.database.write() as tx:
            self._catalog.jobs.end(tx, shadow.job_id, str(error))
        self._publisher.sweep()


def _same(running: Shadow, model: str) -> str:
    if running.shelf.model == model:
        return running.job_id
    raise BadRequest(
        f"'{running.shelf.name}' is being re-indexed by {running.shelf.model} already",
        help=f"wait for job {running.job_id}, or cancel it",
    )
