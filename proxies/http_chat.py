"""How does a chat completion come from a generation model, or from a collection?"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import cast

from clients.answers import Answer, Delta, Event
from clients.errors import NotFound
from clients.llm import Generation, Usage
from clients.mesh import Ragq

from .http_requests import ChatBody
from .http_stream import Frames

COLLECTION_PREFIXES = ("collection/", "ragq/")


@dataclass(frozen=True, slots=True)
class Target:
    """Who answers: a collection, or the generation model when it is empty."""

    model: str
    collection: str = ""


def target(mesh: Ragq, name: str) -> Target:
    """Whom a request's ``model`` means; a generation model's own name wins over a collection's.

    Raises:
        NotFound: neither a generation model nor a collection.
    """
    for prefix in COLLECTION_PREFIXES:
        if name.startswith(prefix):
            return Target(name, name.removeprefix(prefix))
    writer = next((model.name for model in mesh.llm.models() if model.role == "generate"), "")
    if name in ("", writer):
        return Target(writer)
    if mesh.config.index.enabled and any(c.name == name for c in mesh.index.collections()):
        return Target(name, name)
    raise NotFound(f"no generation model and no collection is called '{name}'", help="GET /v1/models lists them")


def collection_id(name: str) -> str:
    """A collection as the list of models has it; ``name`` in any of its spellings."""
    for prefix in COLLECTION_PREFIXES:
        name = name.removeprefix(prefix)
    return COLLECTION_PREFIXES[0] + name


@dataclass(frozen=True, slots=True)
class Completion:
    """What every part of one completion repeats."""

    id: str
    created: int
    model: str

    @classmethod
    def begin(cls, model: str) -> Completion:
        """A new one, now."""
        return cls(f"chatcmpl-{uuid.uuid4().hex}", int(time.time()), model)

    def whole(self, text: str, finish_reason: str, **extra: object) -> dict[str, object]:
        """The completion in one piece."""
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}
        return {"id": self.id, "object": "chat.completion", "created": self.created, "model": self.model,
                "choices": [choice], **extra}  # fmt: skip

    def chunk(self, delta: dict[str, str], finish_reason: str | None = None, **extra: object) -> dict[str, object]:
        """A piece of the completion."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._part([choice], **extra)

    def usage_chunk(self, usage: Usage) -> dict[str, object]:
        """The piece after the last, when the request wants the usage."""
        return self._part([], usage=_usage(usage), ragq=_timings(usage))

    def _part(self, choices: list[object], **extra: object) -> dict[str, object]:
        return {"id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model,
                "choices": choices, **extra}  # fmt: skip


def answered(mesh: Ragq, body: ChatBody) -> dict[str, object]:
    """The whole completion of a request that does not stream."""
    who = target(mesh, body.model)
    completion = Completion.begin(who.model)
    if who.collection:
        answer = last_answer(_events(mesh, who.collection, body))
        return completion.whole(answer.text, "stop", ragq=_detail(answer))
    done = mesh.llm.generate(body.turns(), stream=False, **body.controls())
    return completion.whole(done.text, _finish(done), usage=_usage(done.usage), ragq=_timings(done.usage))


def frames(mesh: Ragq, body: ChatBody) -> Frames:
    """The pieces of a completion that streams."""
    who = target(mesh, body.model)
    completion = Completion.begin(who.model)
    if who.collection:
        yield from _answer_frames(_events(mesh, who.collection, body), completion)
    else:
        yield from _token_frames(mesh, body, completion)


def _token_frames(mesh: Ragq, body: ChatBody, completion: Completion) -> Frames:
    delta = {"role": "assistant"}
    with mesh.llm.generate(body.turns(), stream=True, **body.controls()) as tokens:
        for token in tokens:
            yield completion.chunk(delta | {"content": token.text})
            delta = {}
        done = tokens.reply
    yield completion.chunk(delta, _finish(done))
    if body.stream_options.include_usage:
        yield completion.usage_chunk(done.usage)


def _answer_frames(events: Iterator[Event], completion: Completion) -> Frames:
    delta = {"role": "assistant"}
    with closing(cast("Frames", events)):
        for event in events:
            match event:
                case Delta(text):
                    yield completion.chunk(delta | {"content": text})
                    delta = {}
                case Answer():
                    yield completion.chunk(delta, "stop", ragq=_detail(event))


def _events(mesh: Ragq, collection: str, body: ChatBody) -> Iterator[Event]:
    return mesh.ask(collection, body.question(), body.history(), stream=True, **body.ask_options())


def last_answer(events: Iterator[Event]) -> Answer:
    """The answer at the end of the events."""
    *_, answer = events
    assert isinstance(answer, Answer)
    return answer


def _detail(answer: Answer) -> dict[str, object]:
    """The field ``ragq`` of a completion: where the answer comes from."""
    return {
        "kind": answer.kind,
        "query": answer.query,
        "decision": asdict(answer.decision),
        "citations": [asdict(citation) for citation in answer.citations],
        "notes": answer.notes,
        "is_grounded": answer.is_grounded,
        "timings": answer.timings,
    }


def _finish(done: Generation) -> str:
    return "length" if done.finish_reason == "length" else "stop"


def _usage(usage: Usage) -> dict[str, object]:
    total = usage.prompt_tokens + usage.completion_tokens
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": total,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


def _timings(usage: Usage) -> dict[str, object]:
    """The field ``ragq`` of a completion that a model wrote: seconds of its parts."""
    names = ("queue_s", "first_token_s", "token_s", "total_s")
    return {"timings": {name: round(getattr(usage, name), 6) for name in names}}
