"""How the commands of the older mesh (one msgpack map with ``cmd``) are answered by today's methods."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clients import index, llm, models
from clients.errors import BackendError, BadRequest, UnknownMethod
from clients.reading import nearest
from clients.wire import Nothing

Run = Callable[[str, object], Any]
DEFAULT_COLLECTION = "initial"
NUM_NEARBY = 3
# What its server was set to.
NUM_BEAMS = 5
LENGTH_PENALTY = 0.6


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

    def model(self, name: str) -> str:
        """A field with a model's path: its last part is the name, and nothing stands for the service's own."""
        path = self.text(name, "") if self.values.get(name) else ""
        return path.rstrip("/").rsplit("/", 1)[-1]

    def count(self, name: str, default: int) -> int:
        """A field with a whole number."""
        value = self.number(name, default)
        if value != int(value):
            raise BadRequest(f"{name}: a whole number is needed")
        return int(value)


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
        part = texts[i : i + llm.MAX_TEXTS_PER_CALL]
        reply = run("llm.embed", llm.Embed(part, model=fields.model("bgem3_path")))
        rows += reply.vectors.tolist()
    return rows


def _get_cross_scores(fields: Fields, run: Run) -> list[float]:
    queries, documents = fields.texts("texts_0"), fields.texts("texts_1")
    if len(queries) != len(documents):
        raise BadRequest(f"texts_0 has {len(queries)} texts, texts_1 has {len(documents)}")
    logits: list[float] = run("llm.score", llm.Score(queries, documents, fields.model("rerank_path"))).logits.tolist()
    return logits


def _prompt(fields: Fields) -> dict[str, Any]:
    """A ``template_prompt`` is the whole prompt, continued as it is; else instruction and context are one turn."""
    template = fields.values.get("template_prompt")
    if template:
        return {"prompt": fields.text("template_prompt")}
    instruction, context = fields.text("instruction", ""), fields.text("input_text", "")
    return {"messages": [llm.Message("user", f"{context}\n\n{instruction}".strip())]}


def _generation(fields: Fields, tokens: int, **controls: Any) -> llm.Generate:
    """A request with the fields that all of the older commands have."""
    return llm.Generate(
        **_prompt(fields),
        max_tokens=fields.count("token_count", tokens),
        state=fields.text("state_file", "") if fields.values.get("state_file") else "",
        model=fields.model("base_model_path"),
        **controls,
    )


def _sampling_generate(fields: Fields, run: Run) -> str:
    _refuse_stream(fields)
    temperature, top_p = fields.number("temperature", 1.0), fields.number("top_p", 0.0)
    # The older mesh used top_p 0 for "always the likeliest token".
    sampling = {"temperature": temperature, "top_p": top_p} if top_p > 0 else {"temperature": 0.0}
    names = ("presence_penalty", "frequency_penalty", "repetition_penalty", "penalty_decay", "min_p")
    sampling |= {name: fields.number(name, 0.0) for name in names if name in fields.values}
    text: str = run("llm.generate", _generation(fields, 128, **sampling)).text
    return text


def _beam_generate(fields: Fields, run: Run) -> list[tuple[str, float, int]]:
    beams = fields.count("num_beams", NUM_BEAMS)
    request = _generation(fields, 128, beams=beams, num_answers=beams, length_penalty=LENGTH_PENALTY)
    found: Sequence[llm.Beam] = run("llm.generate", request).beams
    return [(beam.text, math.exp(beam.score), number) for number, beam in enumerate(found)]


def _generate_texts(fields: Fields, run: Run) -> str:
    text: str = run("llm.generate", _generation(fields, 100)).text
    return text


def _refuse_stream(fields: Fields) -> None:
    if fields.values.get("stream_output"):
        raise BadRequest("stream_output: one reply per request here", help="llm.generate streams")


def _reload_base_model(fields: Fields, run: Run) -> str:
    run("llm.reload_generate", models.Reload("generate", fields.text("base_model_path")))
    return "ok"


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
        "BEAM_GENERATE": _beam_generate,
        "GENERATE_TEXTS": _generate_texts,
        "RELOAD_BASE_MODEL": _reload_base_model,
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
