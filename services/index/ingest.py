"""What happens to documents after they were added: a thread brings them, stage by stage, to be ready."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Literal

from clients.errors import BadRequest, ModelNotLoaded, NotFound, RagqError, StoreAway
from clients.wire import Clock

from .attempts import FIX, MAX_TRIES, REASON, TOGETHER
from .backlog import Backlog
from .catalog import Catalog, Shelf
from .chunks import Stored
from .documents import Work
from .embedding import Embedding, GaveUp, Pace
from .intake import Intake
from .jobs import OpenJob
from .labour import Labour, Rest
from .preparing import Preparer
from .publishing import Publisher
from .reindexing import Reindexer
from .scanning import Told

# What is taken in goes to the stores together, and each commit of theirs costs the same for 32 documents as for 256.
GROUP_FILES = 256
TAKE_IN_S = 2.0
GROUP_DOCUMENTS = 256
GROUP_BYTES = 2 << 20
MAX_PUBLISHED = 1024
STORE_REST_S = 2.0
# What became of the documents that wait to be opened: there are none, they were opened, or pages of one are left.
Prepared = Literal["none", "all", "some"]


class Ingest(Labour):
    """The ingest thread.

    Jobs take turns, a step each, so that a small one does not wait for a large one. Everything that
    a step achieves is on record before the next, so a process that dies loses a step at most.
    """

    def __init__(
        self,
        catalog: Catalog,
        intake: Intake,
        preparer: Preparer,
        embedding: Embedding,
        publisher: Publisher,
        reindexer: Reindexer,
        rest: Rest,
        clock: Clock,
    ) -> None:
        self._catalog = catalog
        self._backlog = Backlog(catalog.database)
        self._intake = intake
        self._preparer = preparer
        self._embedding = embedding
        self._publisher = publisher
        self._reindexer = reindexer
        self._clock = clock
        self._pace = Pace()
        super().__init__("ingest", rest)

    def stop(self, timeout_s: float = 10.0) -> None:
        """End after the turn that runs; what one leaves that takes longer is done again at the next start."""
        super().stop(timeout_s)
        self._catalog.attempts.close()

    def turn(self) -> bool:
        """One step of every unfinished job; False when there is nothing left to do."""
        worked = False
        for job in self._catalog.jobs.unfinished():
            if self._rest.is_over:
                return False
            started = self._clock()
            did = self._reindexer.step(job) if job.model else self._step(job)
            self._catalog.jobs.worked(job.id, self._clock() - started)
            worked = did or worked
        return worked or self._reindexer.clean()

    def _step(self, job: OpenJob) -> bool:
        """Take files in, prepare, embed and publish a batch; whether anything was done."""
        did = self._take_in(job)
        room = self._pace.size
        batch = self._batch(job, room)
        prepared: Prepared = "all"
        while len(batch) < room and prepared == "all":
            prepared = self._prepare(job)
            did = did or prepared != "none"
            batch = self._batch(job, room)
        if batch:
            self._embed(job, batch)
        published = self._publish(job)
        return self._catalog.jobs.finish(job.id) or did or published or bool(batch)

    def _take_in(self, job: OpenJob) -> bool:
        end = self._clock() + TAKE_IN_S
        for number in range(GROUP_FILES):
            if number and self._clock() > end:
                break
            source = self._catalog.items.next_file(job.id)
            if source is None or not self._catalog.jobs.is_open(job.id):
                return number > 0
            if number == 0:
                self._catalog.jobs.note(job.id, "reading files", source.name)
            self._intake.take(job, source)
        return True

    def _prepare(self, job: OpenJob) -> Prepared:
        group: list[Work] = []
        for work in self._backlog.to_open(job, GROUP_DOCUMENTS):
            if group and sum(w.size_bytes for w in group) + work.size_bytes > GROUP_BYTES:
                break
            group.append(work)
        if not group:
            return "none"
        if not (group := self._apart(group)):
            return "all"
        with self._at(job, "parsing", group):
            return "all" if self._preparer.prepare(group, self._told(job)) else "some"

    def _at(self, job: OpenJob, stage: str, group: Sequence[Work]) -> AbstractContextManager[None]:
        """Work on documents, which is on record while it goes on."""
        note = partial(self._catalog.jobs.note, job.id, stage, group[0].name)
        return self._catalog.attempts.at([work.id for work in group], note)

    def _apart(self, group: list[Work]) -> list[Work]:
        """Without those that processes died with, as long as there are others; then as many as may come together."""
        tries = self._catalog.attempts.tries([work.id for work in group])
        for id_, num in tries.items():
            if num >= MAX_TRIES:
                self._catalog.documents.fail(id_, REASON, FIX)
                self._catalog.attempts.pardon(id_)
        left = [work for work in group if tries.get(work.id, 0) < MAX_TRIES]
        least = min((tries.get(work.id, 0) for work in left), default=0)
        return [work for work in left if tries.get(work.id, 0) == least][: TOGETHER[least]]

    def _told(self, job: OpenJob) -> Told:
        """Notes what a job does; False when nobody wants it any more."""

        def told(stage: str) -> bool:
            self._catalog.jobs.note(job.id, stage)
            return self._catalog.jobs.is_open(job.id) and not self._rest.is_over

        return told

    def _batch(self, job: OpenJob, room: int) -> list[Stored]:
        """The next chunks to embed, of as many documents as it takes."""
        batch: list[Stored] = []
        for work in self._backlog.to_embed(job, room):
            batch += self._catalog.documents.chunks.next_to_embed(work.id, room - len(batch))
            if len(batch) >= room:
                break
        return batch

    def _embed(self, job: OpenJob, batch: list[Stored]) -> None:
        shelf = self._catalog.shelf_of(job.collection_id)
        if shelf is None:
            return
        started = self._clock()
        work = self._catalog.documents.work(batch[0].document_id)
        self._catalog.jobs.note(job.id, "embedding", work.name if work else "")
        try:
            self._embed_all(job, shelf, batch)
        except StoreAway as error:
            self._wait_for_store(job, error)
            self._rest.wait(STORE_REST_S)
        except RagqError as error:
            self._embed_apart(job, shelf, batch, error)
        else:
            self._pace.took(len(batch), self._clock() - started)

    def _embed_apart(self, job: OpenJob, shelf: Shelf, batch: list[Stored], error: RagqError) -> None:
        """A batch was refused: its documents are tried one by one, so that only the guilty fail."""
        ids = list(dict.fromkeys(chunk.document_id for chunk in batch))
        for id_ in ids:
            own = [chunk for chunk in batch if chunk.document_id == id_]
            try:
                if len(ids) == 1 or isinstance(error, GaveUp | BadRequest):
                    raise error
                self._embed_all(job, shelf, own)
            except RagqError as reason:
                self._catalog.documents.fail(id_, reason.message, _cure(shelf, reason))

    def _embed_all(self, job: OpenJob, shelf: Shelf, batch: Sequence[Stored]) -> None:
        maker = self._catalog.maker(shelf)
        model, vectors = self._embedding.documents([chunk.content for chunk in batch], self._told(job), maker)
        if (shelf.model, shelf.dimension) != (model, vectors.shape[1]):
            new = self._catalog.with_model(shelf, model, vectors.shape[1])
            self._publisher.open(new)
            shelf = self._catalog.set_model(new)
        check_model(shelf, model, vectors.shape[1])
        self._catalog.documents.chunks.put_vectors(batch, vectors, shelf.generation)

    def _publish(self, job: OpenJob) -> bool:
        complete = self._backlog.to_publish(job, MAX_PUBLISHED)
        shelf = self._catalog.shelf_of(job.collection_id)
        if not complete or shelf is None:
            return False
        if not (complete := self._apart(complete)):
            return True
        try:
            with self._at(job, "storing", complete):
                replaced = self._publisher.publish(shelf, complete)
        except StoreAway as error:
            self._wait_for_store(job, error)
            return False
        if replaced:
            self._intake.forget(replaced)
        return True

    def _wait_for_store(self, job: OpenJob, error: StoreAway) -> None:
        """Nothing is lost: the vectors are on record, and the next turn tries again."""
        self._catalog.jobs.note(job.id, f"waiting for the vector store: {error.message}")


def _cure(shelf: Shelf, reason: RagqError) -> str:
    """What to do about a document that could not be embedded."""
    if shelf.model and isinstance(reason, NotFound | ModelNotLoaded):
        again = f"ragq reindex {shelf.name} gives the collection another model"
        return f"{reason.help}; or {again}" if reason.help else again
    return reason.help or "retry the document when that is mended"


def check_model(shelf: Shelf, model: str, dimension: int) -> None:
    """BadRequest when a collection's vectors were made by another model."""
    if (shelf.model, shelf.dimension) != (model, dimension):
        raise BadRequest(
            f"the collection '{shelf.name}' holds vectors of {shelf.model} ({shelf.dimension} numbers); "
            f"these are of {model} ({dimension})",
            help="add the documents to a new collection",
        )
