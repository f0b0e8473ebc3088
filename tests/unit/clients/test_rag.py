"""How a question becomes an answer, over a library and a model that live in this process."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import pytest

from clients import rag
from clients.answers import Answer, Decision, Delta, Event, Rewritten, Round, Sources
from clients.asking import Ask
from clients.calibration import Calibration, scorers_of
from clients.errors import BackendError, BadRequest, ModelNotLoaded, NotFound
from clients.index import Collection, Documents, Hit, Hits
from clients.llm import Generation, Message, ModelInfo, Sentence, Token
from clients.within import Within

WINGS = "The wing gives lift to the plane. It has two flaps."
TAIL = "The tail gives balance.\nIt carries the rudder."


def hit(number: int, text: str, similarity: float) -> Hit:
    return Hit(
        f"c{number}", f"d{number}", f"file{number}.pdf", text, similarity, "similarity",
        scores={"rerank": similarity, "dense": similarity},
    )  # fmt: skip


ABOUT_LIFT = "What gives lift to a plane?"
GOOD = Hits([hit(1, WINGS, 0.95), hit(2, TAIL, 0.4), hit(3, "Other words.", 0.3), hit(4, "More.", 0.3),
             hit(5, "Rest.", 0.3)], coverage=1.0)  # fmt: skip
POOR = Hits([hit(i, f"Nothing of the kind, {i}.", 0.5) for i in range(1, 6)], coverage=0.0, notes=["one store is slow"])
NONE = Hits([])
UNSURE = 1.2  # the best sentence that leaves POOR between the two thresholds


@dataclass
class Library:
    """Has one answer for each mode of search, and remembers what it was asked."""

    hybrid: Hits = GOOD
    keyword: Hits = NONE
    asked: list[tuple[str, str, int, str]] = field(default_factory=list)
    fitted: list[Calibration] = field(default_factory=list)
    num_chunks: int = 5
    num_documents: int = 0
    num_ready: int = 0
    num_cancelled: int = 0
    model: str = ""
    limits: list[Within | None] = field(default_factory=list)

    def calibrations(self, collection: str) -> list[Calibration]:
        if collection == "gone":
            raise NotFound("no collection 'gone'")
        return self.fitted

    def collections(self) -> list[Collection]:
        return [Collection("drones", "", self.model, num_chunks=self.num_chunks, num_documents=self.num_documents)]

    def documents(self, collection: str, *, status: str, limit: int) -> Documents:
        return Documents([], {"ready": self.num_ready, "cancelled": self.num_cancelled}[status])

    def find(self, collection: str, query: str, top_k: int, mode: str, *, within: Within | None) -> Hits:
        if collection == "gone":
            raise NotFound("no collection 'gone'")
        self.limits.append(within)
        self.asked.append((collection, query, top_k, mode))
        return self.keyword if mode == "keyword" else self.hybrid


class Tokens:
    """A stream of tokens, which notices when it is left."""

    def __init__(self, words: Sequence[str], fails_at: int = -1) -> None:
        self.words, self.fails_at, self.is_closed = list(words), fails_at, False

    def __iter__(self) -> Iterator[Token]:
        for i, word in enumerate(self.words):
            if i == self.fails_at:
                raise BackendError("the runtime failed")
            yield Token(word)

    @property
    def reply(self) -> Generation:
        return Generation("".join(self.words), "stop", "big-chat")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.is_closed = True


@dataclass
class Model:
    """Finds the first sentence of each passage, and writes what it is told to."""

    score: float = 0.99
    step: float = 0.15
    writes: tuple[str, ...] = ("Lift comes ", "from the wing [1].")
    generator: ModelInfo | None = field(default_factory=lambda: ModelInfo("generate", "big-chat", "openvino"))
    fails_at: int = -1
    turns: list[Message] = field(default_factory=list)
    tokens: Tokens | None = None
    controls: dict[str, Any] = field(default_factory=dict)
    extracted: list[str] = field(default_factory=list)

    def extract(self, question: str, passages: Sequence[str], max_sentences: int) -> list[Sentence]:
        self.extracted.append(question)
        ends = [(i, text.find(".") + 1, text) for i, text in enumerate(passages)]
        best = [Sentence(i, 0, end, text[:end], self.score - self.step * i) for i, end, text in ends]
        return best[:max_sentences]

    def models(self) -> list[ModelInfo]:
        embed = ModelInfo("embed", "e5", "openvino")
        return [embed, self.generator] if self.generator else [embed]

    def generate(self, turns: list[Message], *, stream: bool, **controls: Any) -> Tokens:
        assert stream
        assert controls["max_tokens"] > 0
        self.controls = controls
        self.turns = turns
        self.tokens = Tokens(self.writes, self.fails_at)
        return self.tokens


def events_of(
    library: Any,
    model: Any,
    question: str = "What gives lift to a plane?",
    history: Sequence[Round] = (),
    **options: Any,
) -> list[Event]:
    settings = replace(Ask(answer="extractive"), **options)
    return list(rag.ask(model, library, settings, "drones", question, history))


def answer_of(*args: Any, **kwargs: Any) -> Answer:
    return rag.last(iter(events_of(*args, **kwargs)))


def test_sentences_are_quoted_with_their_places() -> None:
    answer = answer_of(Library(), Model())
    assert (answer.kind, answer.decision.route, answer.model) == ("extractive", "answer", "")
    assert answer.text == "The wing gives lift to the plane. [1]\n\nThe tail gives balance. [2]"
    first = answer.citations[0]
    assert (first.marker, first.chunk_id, first.document, first.quote) == (1, "c1", "file1.pdf", WINGS[:33])
    assert WINGS[first.start : first.end] == first.quote
    assert {"search", "extract"} <= set(answer.timings)


def test_events_come_in_their_order_and_the_pieces_make_the_text() -> None:
    events = events_of(Library(), Model())
    kinds = [type(event) for event in events]
    assert kinds[:2] == [Sources, Decision]
    assert kinds[-1] is Answer
    assert set(kinds[2:-1]) == {Delta}
    assert "".join(e.text for e in events if isinstance(e, Delta)) == events[-1].text  # type: ignore[union-attr]  # the Answer


def test_sentences_far_below_the_best_are_left_out() -> None:
    texts = Hits([hit(i, f"Sentence {i} of it.", 0.9) for i in range(1, 4)], coverage=1.0)
    answer = answer_of(Library(texts), Model(), threshold=0.0)
    assert [c.marker for c in answer.citations] == [1, 2]


@pytest.mark.parametrize(("step", "markers"), [(0.0, [1, 2, 3]), (0.19, [1, 2]), (0.21, [1])])
def test_only_sentences_nearly_as_good_as_the_best_are_quoted(step: float, markers: list[int]) -> None:
    assert [c.marker for c in answer_of(Library(), Model(step=step)).citations] == markers


def test_the_best_sentence_is_quoted_first() -> None:
    best, second = Sentence(2, 0, 1, "b", 0.9), Sentence(0, 0, 1, "a", 0.8)
    assert rag.shown([second, best]) == [best, second]


@pytest.mark.parametrize(
    ("quote", "text"),
    [
        ("```bash\nragq up\nragq status.\n```", "`ragq up` `ragq status.`"),
        ("| 3 | a port\nis busy. |", "3 · a port is busy."),
        ("PDF | .pdf | text.", "PDF · .pdf · text."),
        ("- a point.", "a point."),
    ],
)
def test_code_rows_and_list_items_are_shown_on_a_line(quote: str, text: str) -> None:
    class Whole(Model):
        def extract(self, question: str, passages: Sequence[str], max_sentences: int) -> list[Sentence]:
            return [Sentence(0, 0, len(quote), quote, 1.0)]

    answer = answer_of(Library(Hits([hit(1, quote, 0.9)], coverage=1.0)), Whole())
    assert answer.text == f"{text} [1]"
    assert answer.citations[0].quote == quote


def test_a_passage_without_sentences_is_quoted_whole() -> None:
    class Silent(Model):
        def extract(self, question: str, passages: Sequence[str], max_sentences: int) -> list[Sentence]:
            return []

    answer = answer_of(Library(), Silent(), threshold=0.0)
    assert answer.text == f"{WINGS} [1]"
    assert answer.citations[0].quote == WINGS


class Picky(Model):
    """Nearly finds an answer in the passages of the first search, and one in those about wings."""

    def __init__(self, unsure: float = UNSURE) -> None:
        super().__init__()
        self.unsure = unsure

    def extract(self, question: str, passages: Sequence[str], max_sentences: int) -> list[Sentence]:
        self.score = 0.99 if WINGS in passages else self.unsure
        return super().extract(question, passages, max_sentences)


def test_an_unsure_search_is_tried_again_by_words_and_the_best_of_both_is_answered_from() -> None:
    other = Hits([replace(h, chunk_id=f"k{h.chunk_id}") for h in GOOD.hits], coverage=1.0)
    library = Library(POOR, other)
    answer = answer_of(library, Picky())
    assert answer.decision.route == "fallback"
    assert answer.citations[0].chunk_id == "kc1"
    assert [mode for *_, mode in library.asked] == ["hybrid", "keyword"]
    # Both searches' passages were looked at, best first by the reranker.
    seen = [candidate.chunk_id for candidate in answer.decision.candidates]
    assert seen[:2] == ["kc1", "c1"]
    assert {"second_search", "extract"} <= set(answer.timings)


def test_both_searches_are_limited_to_the_documents_that_were_asked_and_the_answer_says_so() -> None:
    other = Hits([replace(h, chunk_id=f"k{h.chunk_id}") for h in GOOD.hits], coverage=1.0)
    library, within = Library(POOR, other), Within(["manual.pdf", "reports/*"], kinds=["pdf"])
    answer = rag.last(rag.ask(Picky(), library, Ask(answer="extractive"), "drones", ABOUT_LIFT, [], within))  # type: ignore[arg-type]
    assert answer.decision.route == "fallback"
    assert library.limits == [within, within]
    assert "only these documents were searched: 'manual.pdf', 'reports/*'; 'pdf'" in answer.notes


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (ABOUT_LIFT, "This is not in the chosen documents of the collection “drones”: the search found nothing."),
        ("无人机的电池能用多久？", "知识库“drones”选定的文档里没有这个问题的答案：没有召回任何内容。"),
    ],
)
def test_of_documents_that_were_not_asked_nothing_is_claimed(question: str, said: str) -> None:
    answer = rag.last(rag.ask(Model(), Library(NONE), Ask(), "drones", question, [], Within(["a.pdf"])))  # type: ignore[arg-type]
    assert (answer.decision.cause, answer.text) == ("nothing", said)


def test_without_a_reranker_the_two_searches_take_turns() -> None:
    def bare(hits: Hits, prefix: str) -> Hits:
        return Hits([replace(h, chunk_id=prefix + h.chunk_id, scores={}) for h in hits.hits], coverage=hits.coverage)

    answer = answer_of(Library(bare(POOR, "a"), bare(GOOD, "b")), Picky(unsure=0.22))
    assert answer.decision.route == "fallback"
    assert [c.chunk_id for c in answer.decision.candidates][:4] == ["ac1", "bc1", "ac2", "bc2"]


def test_a_hopeless_search_is_not_tried_again() -> None:
    library = Library(POOR, GOOD)
    answer = answer_of(library, Model(score=0.1))
    assert (answer.decision.route, answer.decision.cause) == ("absent", "irrelevant")
    assert [mode for *_, mode in library.asked] == ["hybrid"]


def test_what_may_be_related_is_named_when_no_search_suffices() -> None:
    other = Hits([replace(h, chunk_id=f"k{h.chunk_id}") for h in POOR.hits], coverage=0.0)
    library = Library(POOR, other)
    answer = answer_of(library, Model(score=UNSURE))
    assert (answer.decision.route, answer.decision.cause) == ("absent", "unsure")
    assert "Possibly related: file1.pdf, file2.pdf, file3.pdf" in answer.text
    assert [mode for *_, mode in library.asked] == ["hybrid", "keyword"]


def test_an_empty_collection_is_told_from_a_search_that_finds_nothing() -> None:
    empty = answer_of(Library(NONE, num_chunks=0), Model())
    assert (empty.decision.cause, empty.text) == ("empty", "The collection “drones” is empty: add documents first.")
    assert answer_of(Library(NONE), Model()).decision.cause == "nothing"


def test_documents_that_are_not_ready_are_said_to_be_so() -> None:
    early = Library(NONE, num_chunks=0, num_documents=5, num_ready=0, num_cancelled=1)
    waits = answer_of(early, Model())
    assert (waits.decision.cause, waits.decision.num_pending) == ("pending", 4)
    assert waits.text == (
        "The collection “drones” has no passages yet: 4 documents are not ready. Please ask again when they are."
    )
    partly = answer_of(Library(POOR, num_documents=5, num_ready=3), Model(score=0.1))
    assert (partly.decision.cause, partly.decision.num_pending) == ("irrelevant", 2)
    assert partly.text.endswith(" 2 documents are not ready yet.")
    assert partly.decision.reason.endswith("; 2 documents are not ready yet")
    assert "ready" not in answer_of(Library(POOR, num_documents=5, num_ready=5), Model(score=0.1)).text


def test_a_search_whose_half_failed_does_not_claim_that_the_answer_is_missing() -> None:
    halved = replace(POOR, notes=["searched by words only: the embedding model is not loaded"])
    answer = answer_of(Library(halved), Model(score=0.1))
    assert (answer.decision.route, answer.decision.cause) == ("absent", "incomplete")
    assert "cannot be said now" in answer.text


def test_what_is_said_without_an_answer_can_be_set() -> None:
    assert answer_of(Library(POOR), Model(score=0.1), absent="Call the desk.").text == "Call the desk."


def test_instructions_and_penalties_reach_the_model_that_writes() -> None:
    model = Model()
    answer_of(Library(), model, answer="written", instructions="Be formal.", temperature=0.5, frequency_penalty=0.3)
    assert model.turns[0].role == "system"
    assert model.turns[0].content.endswith("Be formal.")
    assert model.controls == {"max_tokens": 384, "temperature": 0.5, "frequency_penalty": 0.3}
    small = Model(generator=ModelInfo("generate", "smollm2-135m-instruct", "openvino"))
    answer_of(Library(), small, answer="written", instructions="Be formal.")
    assert [turn.role for turn in small.turns] == ["system", "user"]
    assert small.controls == {"max_tokens": 384}


@pytest.mark.parametrize("how", ["extractive", "written"])
def test_an_answer_can_be_demanded_and_is_then_marked_as_not_grounded(how: Any) -> None:
    answer = answer_of(Library(POOR), Model(score=0.1), anyway=True, answer=how)
    assert (answer.kind, answer.decision.route, answer.is_grounded) == (
        how,
        "absent",
        False,
    )
    assert rag.UNGROUNDED in answer.notes
    assert answer_of(Library(), Model(), anyway=True).is_grounded


FITTED = Calibration(
    "drones", scorers_of(Model().models(), Ask().top_k), slope=0.5, intercept=-1.0, t_low=0.3, t_high=0.6
)


def test_the_thresholds_and_the_curve_that_were_fitted_decide() -> None:
    decision = answer_of(Library(GOOD, fitted=[FITTED]), Model()).decision
    assert (decision.calibrated, decision.t_low, decision.threshold) == (True, 0.3, 0.6)
    plain = answer_of(Library(GOOD), Model()).decision
    assert not plain.calibrated
    expected = FITTED.probability(math.log(plain.confidence / (1 - plain.confidence)))
    assert decision.confidence == pytest.approx(expected, abs=1e-6)
    first, *others = decision.candidates
    assert (first.chunk_id, first.bi_score, first.logit) == ("c1", 0.95, 0.95)
    assert first.p == pytest.approx(decision.confidence)
    assert all(other.p is not None and other.p < first.p for other in others)
    assert all(candidate.p is None for candidate in plain.candidates)


def test_a_threshold_that_is_asked_for_goes_before_the_fitted_one() -> None:
    decision = answer_of(Library(POOR, fitted=[FITTED]), Model(score=0.1), threshold=0.0, fitted=False).decision
    assert (decision.route, decision.threshold, decision.t_low, decision.calibrated) == ("answer", 0.0, 0.0, True)


def test_a_calibration_of_other_models_is_not_used_and_the_note_says_so() -> None:
    other = replace(FITTED, scorers=replace(FITTED.scorers, embedder="bge-m3"))
    answer = answer_of(Library(GOOD, fitted=[other]), Model())
    assert not answer.decision.calibrated
    (note,) = answer.notes
    assert "it was fitted to bge-m3" in note
    assert "ragq calibrate -c drones" in note


def test_a_calibration_holds_for_the_model_that_made_the_collections_vectors_not_for_the_one_that_serves() -> None:
    answer = answer_of(Library(GOOD, fitted=[FITTED], model="older-embed"), Model())
    assert not answer.decision.calibrated
    assert "now there are older-embed and" in answer.notes[0]
    serving = next(model.name for model in Model().models() if model.role == "embed")
    assert answer_of(Library(GOOD, fitted=[FITTED], model=serving), Model()).decision.calibrated


def test_passages_that_are_not_worth_it_are_not_shown_to_the_model() -> None:
    model = Model()
    answer_of(Library(GOOD, fitted=[FITTED]), model, answer="written", passages=4)
    assert "[2]" in model.turns[-1].content
    assert "[3]" not in model.turns[-1].content


def test_a_second_search_that_finds_the_same_is_not_asked_twice() -> None:
    model = Model(score=0.1)
    answer = answer_of(Library(POOR, POOR), model)
    assert answer.decision.route == "absent"
    assert len(model.extracted) == 1


@pytest.mark.parametrize(
    ("question", "words"), [("What gives lift?", "is not in the collection"), ("什么产生升力？", "没有这个问题的答案")]
)
def test_what_the_collection_lacks_is_said_in_the_questions_language(question: str, words: str) -> None:
    answer = answer_of(Library(POOR), Model(score=0.1), question)
    assert (answer.kind, answer.decision.route, answer.citations) == ("none", "absent", [])
    assert words in answer.text
    assert "file1.pdf" in answer.text
    assert "drones" in answer.text
    assert answer.notes == ["one store is slow"]


def test_an_empty_search_is_said_without_asking_any_model() -> None:
    model = Model()
    answer = answer_of(Library(NONE), model)
    assert (answer.kind, answer.decision.confidence) == ("none", 0.0)
    assert "found nothing" in answer.text
    assert model.extracted == []


def test_an_answer_is_written_from_the_best_passages() -> None:
    model = Model()
    events = events_of(Library(), model, answer="written", passages=2)
    answer = rag.last(iter(events))
    assert (answer.kind, answer.text, answer.model) == ("written", "Lift comes from the wing [1].", "big-chat")
    assert [c.chunk_id for c in answer.citations] == ["c1"]
    assert [e.text for e in events if isinstance(e, Delta)] == list(model.writes)
    system, user = model.turns
    assert "numbered passages only" in system.content
    assert user.content == f"[1] {WINGS}\n\n[2] {TAIL}\n\nWhat gives lift to a plane?"
    assert model.tokens is not None
    assert model.tokens.is_closed
    assert {"first_token", "generate"} <= set(answer.timings)


def test_markers_that_point_nowhere_are_noted_and_not_cited() -> None:
    answer = answer_of(Library(), Model(writes=("See [2], [9] and [2] and [0].",)), answer="written")
    assert [c.marker for c in answer.citations] == [2]
    assert answer.notes == ["the model cited [9], [0], which do not exist"]
    assert answer.text == "See [2], and [2] and."


def test_a_text_without_markers_cites_the_passage_that_backs_it() -> None:
    answer = answer_of(Library(), Model(writes=("The wing gives ", "lift.")), answer="written", passages=3)
    assert answer.text == "The wing gives lift. [1]"
    assert [c.marker for c in answer.citations] == [1]
    assert answer.notes == ["the model set no marker; the passages that back its sentences are cited"]


@pytest.mark.parametrize("written", ["[1]", "  [2] [3] ", "Bananas are yellow in Brazil.", ""])
def test_what_no_passage_backs_is_replaced_by_quotes(written: str) -> None:
    answer = answer_of(Library(), Model(writes=(written,)), answer="written")
    assert answer.kind == "extractive"
    assert "no passage backs what the model wrote; sentences are quoted instead" in answer.notes


def test_without_a_model_a_written_answer_is_refused_with_the_way_out() -> None:
    with pytest.raises(ModelNotLoaded, match="the role is empty") as caught:
        answer_of(Library(), Model(generator=None), answer="written")
    assert "answer=extractive" in caught.value.help
    broken = ModelInfo("generate", "big-chat", "openvino", status="the file is missing")
    with pytest.raises(ModelNotLoaded, match="the file is missing"):
        answer_of(Library(), Model(generator=broken), answer="written")


@pytest.mark.parametrize(
    ("generator", "kind"),
    [
        (ModelInfo("generate", "big-chat", "openvino"), "written"),
        (ModelInfo("generate", "smollm2-135m-instruct", "openvino"), "extractive"),
        (ModelInfo("generate", "toy", "toy"), "extractive"),
        (ModelInfo("generate", "big-chat", "openvino", status="loading"), "extractive"),
        (None, "extractive"),
    ],
)
def test_auto_writes_only_with_a_model_that_can(generator: ModelInfo | None, kind: str) -> None:
    assert answer_of(Library(), Model(generator=generator), answer="auto").kind == kind


def test_the_small_model_gets_one_passage_only() -> None:
    model = Model(generator=ModelInfo("generate", "smollm2-135m-instruct", "openvino"))
    answer_of(Library(), model, answer="written", passages=4)
    (turn,) = model.turns
    assert turn.content.startswith(f"Text: {WINGS}\n\nQuestion: What gives lift to a plane?")


def test_helpful_mode_writes_also_when_the_collection_lacks_the_answer() -> None:
    model = Model(score=0.1, writes=("From my own knowledge: the wing.",))
    answer = answer_of(Library(NONE), model, answer="written", mode="helpful")
    assert (answer.kind, answer.decision.route) == ("written", "absent")
    assert (answer.citations, answer.notes, answer.is_grounded) == ([], [rag.UNGROUNDED], False)
    assert "your own knowledge" in model.turns[0].content


def test_the_last_rounds_count_and_a_follow_up_is_searched_with_the_question_before() -> None:
    history = [Round(f"Question number {i} of the tests?", f"answer {i}") for i in range(10)]
    library, model = Library(), Model()
    events = events_of(library, model, "And why is it so?", history, answer="written", rounds=2)
    query = "Question number 9 of the tests? And why is it so?"
    assert events[0] == Rewritten(query)
    assert library.asked[0][1] == query
    assert [turn.content for turn in model.turns[1:-1]] == [
        "Question number 8 of the tests?", "answer 8", "Question number 9 of the tests?", "answer 9",
    ]  # fmt: skip
    answer = rag.last(iter(events))
    assert (answer.question, answer.query) == ("And why is it so?", query)


def test_without_rounds_history_is_left_out() -> None:
    library = Library()
    events_of(library, Model(), "And why?", [Round("Which wing?", "both")], rounds=0)
    assert library.asked[0][1] == "And why?"


def test_leaving_in_the_middle_of_an_answer_cancels_its_generation() -> None:
    model = Model(writes=tuple(f"word{i} " for i in range(100)))
    events = rag.ask(model, Library(), Ask(answer="written"), "drones", "What gives lift?", [])  # type: ignore[arg-type]  # in-process
    for event in events:
        if isinstance(event, Delta):
            break
    assert model.tokens is not None
    assert not model.tokens.is_closed
    events.close()
    assert model.tokens.is_closed


def test_a_generation_that_fails_ends_the_answer_with_the_error() -> None:
    model, seen = Model(fails_at=1), list[Event]()
    with pytest.raises(BackendError, match="the runtime failed"):
        seen.extend(rag.ask(model, Library(), Ask(answer="written"), "drones", "What gives lift?", []))  # type: ignore[arg-type]  # in-process
    assert model.tokens is not None
    assert model.tokens.is_closed


@pytest.mark.parametrize("question", ["", "  \n"])
def test_an_empty_question_is_refused(question: str) -> None:
    with pytest.raises(BadRequest, match="the question is empty"):
        answer_of(Library(), Model(), question)


def test_an_unknown_collection_is_the_callers_error() -> None:
    with pytest.raises(NotFound):
        list(rag.ask(Model(), Library(), Ask(), "gone", "What?", []))  # type: ignore[arg-type]  # in-process
