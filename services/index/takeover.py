"""How does a file that changed become a document that takes the place of what it was, and a deleted one go?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from clients.errors import Forbidden, RagqError, TooLarge

from .catalog import Catalog
from .documents import Incoming, document_id
from .intake import Intake, Listed
from .jobs import OpenJob
from .loaders import Unreadable
from .originals import Originals
from .publishing import Publisher
from .watches import Followed, Known, WatchRecords

# When it was changed (nanoseconds since 1970), and its bytes.
Look = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as it is now."""

    file: Listed
    look: Look

    @property
    def path(self) -> str:
        """Where it lies."""
        return str(self.file.path)


class Takeover:
    """Takes files over from followed directories.

    Args:
        catalog: the records.
        records: what is followed.
        intake: reads files, and refuses what nobody reads.
        originals: keeps contents.
        publisher: tells the stores what is gone.
    """

    def __init__(
        self, catalog: Catalog, records: WatchRecords, intake: Intake, originals: Originals, publisher: Publisher
    ) -> None:
        self._catalog = catalog
        self._records = records
        self._intake = intake
        self._originals = originals
        self._publisher = publisher

    def take(self, followed: Followed, seen: Sequence[Seen], known: Mapping[str, Known]) -> None:
        """Queue files in a job of their own; what cannot be read counts as failed in it, with the reason."""
        with self._catalog.database.write() as tx:
            job = self._catalog.jobs.open(tx, followed.collection_id, followed.collection, followed.chunking, "watch")
        for one in seen:
            self._take(followed, job, one, known.get(one.path))
        self._catalog.jobs.finish(job.id)

    def _take(self, followed: Followed, job: OpenJob, seen: Seen, known: Known | None) -> None:
        former = () if known is None else (*known.former, *((known.document_id,) if known.is_own else ()))
        new = Known(seen.path, *seen.look, "", is_own=False, former=former)
        try:
            content = self._intake.content(seen.file.path, seen.file.name)
        except FileNotFoundError:
            return
        except OSError as error:
            self._refuse(followed, job, seen, new, Unreadable(f"the file cannot be read: {error.strerror}"))
        except (Unreadable, TooLarge, Forbidden) as error:
            self._refuse(followed, job, seen, new, error)
        else:
            self._queue(followed, job, seen, new, content)

    def _queue(self, followed: Followed, job: OpenJob, seen: Seen, new: Known, content: bytes) -> None:
        with self._catalog.database.write() as tx:
            sha256 = self._originals.keep(tx, content)
            id_ = document_id(followed.collection, sha256)
            was_there = self._records.is_known(tx, id_) and id_ not in new.former
            self._catalog.jobs.add(tx, job, Incoming(seen.file.name, "", sha256, len(content)))
            former = tuple(old for old in dict.fromkeys(new.former) if old != id_)
            self._records.keep(tx, followed.id, replace(new, document_id=id_, is_own=not was_there, former=former))

    def _refuse(self, followed: Followed, job: OpenJob, seen: Seen, new: Known, error: RagqError) -> None:
        with self._catalog.database.write() as tx:
            self._catalog.items.refuse(tx, job.id, seen.file.name, new.size_bytes, error.message, error.help)
            self._records.keep(tx, followed.id, new)

    def clear(self, followed: Followed, missing: Sequence[Known]) -> None:
        """Let go of what newer versions have replaced, and of the documents of files that are gone."""
        gone = self._records.deleted(followed, missing) + self._records.replaced(followed.id)
        if gone:
            self._publisher.sweep()
            self._originals.forget(gone)
