"""Do a collection's records, its vectors and its keyword entries agree?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from .client import Client
from .wire import Method

Fault = Literal[
    "records_damaged", "incomplete_document", "missing_vectors", "surplus_vectors", "missing_words", "surplus_words",
    "wrong_vectors", "lost_vectors", "lost_originals", "surplus_originals", "wrong_next_vectors",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Checkup:
    """What to look at.

    Attributes:
        collection: its name; empty means all of them, and what belongs to none.
        probe: read every vector back from the vector store, expect each to find itself, and read every original:
            finds what was lost or altered without an error, and takes its time.
        repair: mend what can be mended from the records.
    """

    collection: str = ""
    probe: bool = False
    repair: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not agree.

    Attributes:
        collection: empty for what belongs to none.
        count: how many things are concerned; ``examples`` are some of their ids or names.
        message: for people.
        fix: what to do about it; empty when ``is_mended``.
    """

    collection: str
    fault: Fault
    count: int
    message: str
    fix: str = ""
    examples: list[str] = field(default_factory=list)
    is_mended: bool = False


@dataclass(frozen=True, slots=True)
class Checking:
    """How far the check is: ``num_done`` of ``num_total`` things of a stage."""

    collection: str
    stage: str
    num_done: int = 0
    num_total: int = 0


@dataclass(frozen=True, slots=True)
class Remaking:
    """A re-index that runs: the next vectors of a collection, which nobody searches yet.

    What it lacks is no fault, because it goes on.

    Attributes:
        collection: name of the collection.
        model: what embeds it anew.
        job_id: of the job.
        num_wanted: distinct contents that it is to hold.
        num_recorded: those of them whose vector is on record.
        num_stored: those of them that the vector store holds.
    """

    collection: str
    model: str
    job_id: str
    num_wanted: int
    num_recorded: int
    num_stored: int


@dataclass(frozen=True, slots=True)
class Checked:
    """What was looked at, and all that was found; no findings means that everything agrees."""

    findings: list[Finding]
    num_collections: int = 0
    num_documents: int = 0
    num_chunks: int = 0
    num_probed: int = 0
    reindexes: list[Remaking] = field(default_factory=list)


CHECK = Method("index.check", Checkup, Checked, Checking)
METHODS = (CHECK,)


class CheckingUp:
    """The part of the Index service's client that checks it."""

    _client: Client

    def check(
        self,
        collection: str = "",
        *,
        probe: bool = False,
        repair: bool = False,
        on_progress: Callable[[Checking], None] = lambda _: None,
        timeout_s: float | None = None,
    ) -> Checked:
        """Compare the records with the stores.

        Args:
            collection: its name; empty means everything.
            probe: read back and look for every single vector, and read every original.
            repair: mend what can be mended from the records.
            on_progress: told how far it is; what it raises cancels.
            timeout_s: seconds for the whole of it.
        """
        request = Checkup(collection, probe, repair)
        with self._client.stream(CHECK, request, timeout_s=timeout_s) as stages:
            for stage in stages:
                on_progress(stage)
            return stages.reply
