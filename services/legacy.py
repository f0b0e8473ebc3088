"""How the commands of the older mesh (one msgpack map with ``cmd``) are answered by today's methods."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clients import index, llm
from clients.errors import BackendError, BadRequest, UnknownMethod
from clients.reading import nearest
from clients.wire import Nothing

Run = Callable[[str, object], Any]
DEFAULT_COLLECTION = "initial"
NUM_NEARBY = 3


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a request map, read with the old defaults."""

    values: Mapping[str, Any]

    def text(self, name: str, default: str | None = None) -> str:
        """A text field; BadRequest when it is missing without a default, or not a text."""
        value = self.values.get(name, default)
        if not isinstance(value, str):
            raise BadRequest(f"{name}: a text is needed")
        return value

    def texts(self, name: str) -> list[str]:
        """A field with one text or a list of them."""
        value = self.values.get(name)
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise BadRequest(f"{name}: a text or a list of texts is needed")
        return items

    def number(self, name: str, default: float) -> float:
        """A number field."""
        value = self.values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadRequest(f"{name}: a number is needed")
        return value


def answer(service: str, request: object, run: Run) -> Any:
    """The ``value`` for a request map.

    Args:
        service: the service that is asked.
        request: the map; ``cmd`` in any case.
        run: calls one of today's methods by name with its request.

    Raises:
        RagqError: what the method raises; BadRequest and UnknownMethod for the map itself.
    """
    if not isinstance(request, Mapping) or not isinstance(request.get("cmd"), str):
        raise BadRequest("a request is a msgpack map with a text 'cmd'", help="see docs/protocol.md, the older profile")
    commands = COMMANDS.get(service, {})
    command = commands.get(request["cmd"].upper())
    if command is None:
        raise UnknownMethod(
            f"unsupported command {request['cmd']!r} of {service}", help=nearest(request["cmd"].upper(), commands)
        )
    return command(Fields(request), run)


def _get_embeddings(fields: Fields, run: Run) -> list[list[float]]:
    rows: list[list[float]] = []
    texts = fields.texts("texts")
    for i in range(0, len(texts), llm.MAX_TEXTS_PER_CALL):
        reply = run("llm.embed", llm.Embed(texts[i : i + llm.MAX_TEXTS_PER_CALL]))
        rows += reply.vectors.tolist()
    return rows


def _get_cross_scores(fields: Fields, run: Run) -> list[float]:
    queries, documents = fields.texts("texts_0"), fields.texts("texts_1")
    if len(queries) != len(documents):
        raise BadRequest(f"texts_0 has {len(queries)} texts, texts_1 has {len(documents)}")
    logits: list[float] = run("llm.score", llm.Score(queries, documents)).logits.tolist()
    return logits


def _sampling_generate(fields: Fields, run: Run) -> str:
    template = fields.values.get("template_prompt")
    instruction, context = fields.text("instruction", ""), fields.text("input_text", "")
    content = str(template) if template else f"{context}\n\n{instruction}".strip()
    temperature, top_p = fields.number("temperature", 1.0), fields.number("top_p", 0.0)
    request = llm.Generate(
        messages=[llm.Message("user", content)],
        max_tokens=int(fields.number("token_count", 128)),
        # The older mesh used top_p 0 for "always the likeliest token".
        temperature=temperature if top_p > 0 else 0.0,
        top_p=top_p if top_p > 0 else 1.0,
        state=fields.text("state_file", "") if fields.values.get("state_file") else "",
    )
    text: str = run("llm.generate", request).text
    return text


def _llm_config(_fields: Fields, run: Run) -> dict[str, Any]:
    roles = {
        m.role: {"name": m.name, "backend": m.backend, "status": m.status, "device": m.device, "bytes": m.num_bytes}
        for m in run("llm.models", Nothing()).models
    }
    usage: llm.WorkerUsage = run("llm.usage", Nothing())
    memory = {"rss_bytes": usage.rss_bytes, "available_bytes": usage.available_bytes}
    return {**roles, "memory": memory, "threads": usage.threads}


def _index_texts(fields: Fields, run: Run) -> bool:
    texts, keys = fields.texts("texts"), fields.values.get("keys")
    names = keys if isinstance(keys, list) and len(keys) == len(texts) else None
    named = [index.Text(str(names[i]) if names else text[:60], text) for i, text in enumerate(texts)]
    collection = fields.text("collection_name", DEFAULT_COLLECTION)
    job = run("index.add_texts", index.AddTexts(collection, named, index.Chunking(size=4000, overlap=0)))
    # Callers of the older mesh search right after this reply.
    while job.status not in index.FINISHED:
        time.sleep(0.05)
        job = run("index.job", index.JobId(job.id))
    if job.status != "succeeded":
        raise BackendError(f"indexing {job.status}: {job.reason or '; '.join(d.reason for d in job.failures)}")
    return True


def _show_collections(_fields: Fields, run: Run) -> list[tuple[str, dict[str, Any]]]:
    collections: Sequence[index.Collection] = run("index.collections", Nothing()).collections
    return [(c.name, {"hnsw:space": c.metric, "create_time": c.created_at, "title": c.title}) for c in collections]


def _create_collection(fields: Fields, run: Run) -> bool:
    name = fields.text("collection_name")
    run("index.create_collection", index.CreateCollection(name, name, exist_ok=True))
    return True


def _delete_collection(fields: Fields, run: Run) -> bool:
    run("index.delete_collection", index.CollectionName(fields.text("collection_name")))
    return True


def _search_nearby(fields: Fields, run: Run) -> dict[str, list[list[Any]]]:
    request = index.Search(
        fields.text("collection_name", DEFAULT_COLLECTION), fields.text("text"), NUM_NEARBY, "dense", rerank=False
    )
    hits: Sequence[index.Hit] = run("index.search", request).hits
    return {
        "ids": [[h.chunk_id for h in hits]],
        "documents": [[h.text for h in hits]],
        "distances": [[1.0 - h.score for h in hits]],
        "metadatas": [[{"source": h.document, "page": h.page} for h in hits]],
    }


Command = Callable[[Fields, Run], Any]
COMMANDS: dict[str, dict[str, Command]] = {
    "llm": {
        "GET_EMBEDDINGS": _get_embeddings,
        "GET_CROSS_SCORES": _get_cross_scores,
        "SAMPLING_GENERATE": _sampling_generate,
        "GENERATE_TEXTS": _sampling_generate,
        "LLM_CONFIG": _llm_config,
    },
    "index": {
        "INDEX_TEXTS": _index_texts,
        "SHOW_COLLECTIONS": _show_collections,
        "CREATE_COLLECTION": _create_collection,
        "DELETE_COLLECTION": _delete_collection,
        "SEARCH_NEARBY": _search_nearby,
    },
}
