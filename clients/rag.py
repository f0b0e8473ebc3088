"""How a question becomes an answer: rewrite, search, decide, quote or write, cite."""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from . import wording
from .answers import Answer, AnswerKind, Citation, Decision, Delta, Event, Rewritten, Round, Sources
from .asking import Ask
from .errors import BadRequest, ModelNotLoaded
from .followup import standalone
from .index import Hit, IndexClient
from .llm import LLMClient, ModelInfo, Sentence
from .looking import Looking
from .support import backing
from .within import Within

MARKER = re.compile(r"\[(\d{1,3})\]")
WRONG_MARKER = re.compile(r" ?\[(\d{1,3})\]")
SMALL_MODELS = ("smollm2-135m", "toy")
LIST_MARK = re.compile(r"^(?:[-*•]|#{1,6}|>) ")
SHORT_PROMPT_MODELS = (*SMALL_MODELS, "qwen2.5-coder-0.5b", "qwen2.5-0.5b", "smollm2-360m")
UNGROUNDED = "the collection lacks the answer; what was answered all the same is not grounded in it"
MIN_SHARE = 0.8  # of the best sentence's score: a clear answer is one quote
USABLE = ("ready", "loading")  # a call that must be written waits for a model that is being loaded
FENCED = re.compile(r"```[^\n]*\n(.*?)\n?[ \t]*```", re.DOTALL)
CELLS = " | "


@dataclass(slots=True)
class _Asking:
    """One question on its way; ``is_grounded`` becomes false when the collection lacks what is answered."""

    looking: Looking
    question: str
    history: Sequence[Round]
    query: str
    notes: list[str] = field(default_factory=list)
    is_grounded: bool = True

    @property
    def settings(self) -> Ask:
        """How to answer."""
        return self.looking.settings

    @property
    def llm(self) -> LLMClient:
        """The models."""
        return self.looking.llm

    @property
    def timings(self) -> dict[str, float]:
        """Seconds per stage."""
        return self.looking.timings

    def answer(
        self, text: str, kind: AnswerKind, citations: list[Citation], decision: Decision, model: str = ""
    ) -> Answer:
        """The finished answer."""
        return Answer(text, kind, citations, decision, self.question, self.query, model, dict(self.timings), self.notes,
                      self.is_grounded, self.looking.within)  # fmt: skip


def ask(
    llm: LLMClient,
    index: IndexClient,
    settings: Ask,
    collection: str,
    question: str,
    history: Sequence[Round],
    within: Within | None = None,
) -> Generator[Event, None, None]:
    """Answer a question; events as they happen, the Answer last.

    Raises:
        BadRequest: an empty question.
        RagqError: what a service reports; nothing is yielded after it.
    """
    if not question.strip():
        raise BadRequest("the question is empty")
    rounds = list(history)[-settings.rounds :] if settings.rounds else []
    looking = Looking(llm, index, settings, collection, within=within)
    asking = _Asking(looking, question, rounds, standalone(question, rounds))
    if asking.query != question:
        yield Rewritten(asking.query)
    gate, notes = asking.looking.gate()
    look = asking.looking.look(asking.query, gate)
    hits, decision = look.hits.hits, look.decision
    limit = [f"only these documents were searched: {within}"] if within else []
    asking.notes += [*notes, *limit, *look.hits.notes]
    yield Sources(hits, list(asking.notes))
    yield decision
    may_answer = decision.route != "absent" or settings.mode == "helpful" or settings.anyway
    writer = _writer(asking) if may_answer else None
    if decision.route == "absent" and writer is None and not (settings.anyway and hits):
        text = wording.absent(collection, question, hits, decision, settings, is_limited=within is not None)
        yield Delta(text)
        yield asking.answer(text, "none", [], decision)
        return
    if decision.route == "absent":
        asking.is_grounded = False
        asking.notes.append(UNGROUNDED)
    yield from (
        _written(asking, hits, look.sentences, decision, writer)
        if writer
        else _extracted(asking, hits, look.sentences, decision)
    )


def last(events: Iterator[Event]) -> Answer:
    """The answer at the end of the events."""
    answer = None
    for event in events:
        if isinstance(event, Answer):
            answer = event
    assert answer is not None
    return answer


def _writer(asking: _Asking) -> ModelInfo | None:
    """The model that writes the answer; None when sentences are quoted instead."""
    if asking.settings.answer == "extractive":
        return None
    model = next((m for m in asking.llm.models() if m.role == "generate"), None)
    if asking.settings.answer == "written":
        if model is None or model.status not in USABLE:
            raise ModelNotLoaded(
                f"no model can write an answer: {model.status if model else 'the role is empty'}",
                help="ask with answer=extractive, or set llm.generate in ragq.yml",
            )
        return model
    usable = model is not None and model.status == "ready" and not model.name.startswith(SMALL_MODELS)
    return model if usable else None


def _extracted(asking: _Asking, hits: list[Hit], sentences: list[Sentence], decision: Decision) -> Iterator[Event]:
    whole = Sentence(0, 0, len(hits[0].text), hits[0].text, 0.0)  # a text without a sentence, such as one word
    kept = shown(sentences or [whole])
    citations = [_quote(hits, s) for s in kept]
    pieces = [f"{_as_prose(s.text)} [{c.marker}]" for s, c in zip(kept, citations, strict=True)]
    for i, piece in enumerate(pieces):
        yield Delta(piece if i == 0 else f"\n\n{piece}")
    yield asking.answer("\n\n".join(pieces), "extractive", citations, decision)


def shown(sentences: Sequence[Sentence]) -> list[Sentence]:
    """The sentences that are quoted, best first: the best one and those that are nearly as good."""
    best = max(s.score for s in sentences)
    return sorted((s for s in sentences if s.score >= MIN_SHARE * best), key=lambda s: -s.score)


def _as_prose(text: str) -> str:
    """A quoted sentence on one line, without list marks; commands in backticks, dots between cells."""
    if code := FENCED.fullmatch(text):
        return " ".join(f"`{line.strip()}`" for line in code.group(1).splitlines() if line.strip())
    line = " ".join(text.split())
    if (line.startswith("|") and line.endswith("|")) or CELLS in line:
        return " · ".join(filter(None, (cell.strip() for cell in line.split("|"))))
    return LIST_MARK.sub("", line)


def _quote(hits: list[Hit], sentence: Sentence) -> Citation:
    whole = _cite(hits, sentence.passage)
    return replace(whole, quote=sentence.text, start=sentence.start, end=sentence.end)


def _cite(hits: list[Hit], i: int) -> Citation:
    hit = hits[i]
    return Citation(
        i + 1,
        hit.chunk_id,
        hit.document_id,
        hit.document,
        hit.text,
        page=hit.page,
        heading=hit.heading,
        source=hit.source,
    )


def _written(
    asking: _Asking, hits: list[Hit], sentences: list[Sentence], decision: Decision, writer: ModelInfo
) -> Iterator[Event]:
    most = 1 if writer.name.startswith(SMALL_MODELS) else asking.settings.passages
    passages = hits[: _num_worthy(decision, most)]
    text = yield from _generated(asking, passages, writer)
    numbers = _markers(asking, text, passages)
    text = _with_true_markers(text, len(passages))
    if not MARKER.sub("", text).strip() or not (numbers or asking.settings.mode == "helpful" or not passages):
        asking.notes.append("no passage backs what the model wrote; sentences are quoted instead")
        yield Delta("\n\n")
        yield from _extracted(asking, hits, sentences, decision)
        return
    if numbers and not MARKER.search(text):
        marks = " " + "".join(f"[{n}]" for n in numbers)
        yield Delta(marks)
        text += marks
    yield asking.answer(text, "written", [_cite(passages, n - 1) for n in numbers], decision, writer.name)


def _num_worthy(decision: Decision, most: int) -> int:
    """How many of the first passages to show the model: up to the last one that may hold the answer, one at least.

    The others before it stay, so that ``[2]`` is the second passage everywhere.
    """
    first = decision.candidates[:most]
    if any(candidate.p is None for candidate in first):
        return most
    return max([n for n, c in enumerate(first, 1) if c.p is not None and c.p >= decision.t_low], default=1)


def _generated(asking: _Asking, passages: list[Hit], writer: ModelInfo) -> Generator[Event, None, str]:
    """What the model writes, as it comes; the whole text in the end."""
    if writer.name.startswith(SHORT_PROMPT_MODELS):
        turns = wording.short_conversation(asking.question, passages, asking.settings)
    else:
        turns = wording.conversation(asking.question, passages, asking.history, asking.settings)
    began = time.monotonic()
    with asking.llm.generate(turns, stream=True, **_controls(asking.settings)) as stream:
        for token in stream:
            asking.timings.setdefault("first_token", time.monotonic() - began)
            yield Delta(token.text)
        text = stream.reply.text
    asking.timings["generate"] = time.monotonic() - began
    return text.rstrip()


def _controls(settings: Ask) -> dict[str, Any]:
    """How the model is to write; what is 0 stays the model's own."""
    given = {name: getattr(settings, name) for name in ("temperature", "presence_penalty", "frequency_penalty")}
    return {"max_tokens": settings.max_tokens, **{name: value for name, value in given.items() if value}}


def _with_true_markers(text: str, num_passages: int) -> str:
    """The text without markers that point to no passage."""
    return WRONG_MARKER.sub(lambda m: m.group() if 1 <= int(m.group(1)) <= num_passages else "", text)


def _markers(asking: _Asking, text: str, passages: list[Hit]) -> list[int]:
    """Numbers of the passages to cite: those that the model marked, else those that back its sentences."""
    marked = list(dict.fromkeys(int(n) for n in MARKER.findall(text)))
    wrong = [n for n in marked if not 1 <= n <= len(passages)]
    if wrong:
        asking.notes.append(f"the model cited {', '.join(f'[{n}]' for n in wrong)}, which do not exist")
    right = [n for n in marked if n not in wrong]
    if right:
        return right
    backed = [n + 1 for n in backing(text, [hit.text for hit in passages])]
    if backed:
        asking.notes.append("the model set no marker; the passages that back its sentences are cited")
    return backed
