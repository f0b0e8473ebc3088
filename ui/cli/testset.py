"""How does a test set get into a collection of its own, once?"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence

from clients.errors import BadRequest, NotFound
from clients.evaluation import Beir
from clients.index import FINISHED, Chunking, Collection, Job, Text
from clients.mesh import Ragq

from .progress import follow, meter, print_failures

CHUNKING = Chunking(size=4000, overlap=0)
BATCH_BYTES = 2 << 20
BATCH_TEXTS = 2000


def collection_name(beir: Beir, embedder: str) -> str:
    """A name that changes with the corpus, the cutting and the embedding model."""
    digest = hashlib.sha256(f"{embedder}\n{CHUNKING.size}\n".encode())
    for entry in beir.corpus:
        digest.update(f"{entry.id}\0{entry.content}\0".encode())
    safe = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in beir.name)[:40]
    return f"eval-{safe}-{digest.hexdigest()[:8]}"


def twins(beir: Beir) -> dict[str, list[str]]:
    """Ids with the same content by the first of them; a collection holds equal contents once."""
    first: dict[str, str] = {}
    found: dict[str, list[str]] = defaultdict(list)
    for entry in beir.corpus:
        found[first.setdefault(entry.content, entry.id)].append(entry.id)
    return dict(found)


def fill(mesh: Ragq, name: str, beir: Beir) -> Collection:
    """The collection with the whole corpus in it; what is there already is not added again.

    Raises:
        NotFound: no document could be added.
    """
    wanted = twins(beir)
    texts = [Text(e.id, e.content) for e in beir.corpus if e.id in wanted and e.content.strip()]
    _wait(_running(mesh, name))
    found = _find(mesh, name)
    if found is None or found.num_documents - found.num_failed < len(texts):
        _wait(_send(mesh, name, texts))
        found = _find(mesh, name)
    if found is None or not found.num_chunks:
        raise NotFound(f"no document of {beir.name} is in {name}", help=f"ragq documents -c {name} --failed")
    return found


def _find(mesh: Ragq, name: str) -> Collection | None:
    return next((c for c in mesh.index.collections() if c.name == name), None)


def _running(mesh: Ragq, name: str) -> list[Job]:
    records = [r for r in mesh.index.jobs() if r.collection == name and r.status not in FINISHED]
    return [mesh.index.job(record.id) for record in records]


def _send(mesh: Ragq, name: str, texts: Sequence[Text]) -> list[Job]:
    jobs = []
    num_sent = 0
    with meter("documents") as report:
        for batch in batches(texts):
            jobs.append(mesh.index.add(name, texts=batch, chunking=CHUNKING))
            num_sent += len(batch)
            report("sending", num_sent, len(texts))
    return jobs


def batches(texts: Sequence[Text]) -> Iterator[list[Text]]:
    """Texts in parts that fit into one message each.

    Raises:
        BadRequest: a single text is larger than a message may be.
    """
    batch: list[Text] = []
    num_bytes = 0
    for text in texts:
        size = len(text.text.encode())
        if size > 2 * BATCH_BYTES:
            raise BadRequest(
                f"document {text.name} has {size >> 20} MiB", help=f"at most {2 * BATCH_BYTES >> 20} MiB here"
            )
        if batch and (len(batch) >= BATCH_TEXTS or num_bytes + size > BATCH_BYTES):
            yield batch
            batch, num_bytes = [], 0
        batch.append(text)
        num_bytes += size
    if batch:
        yield batch


def _wait(jobs: Sequence[Job]) -> None:
    if jobs:
        print_failures(follow(jobs))
