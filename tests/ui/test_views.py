"""What pages show, worked out without a page."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC
from pathlib import PurePath
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as some

from clients.answers import Answer, AnswerKind, Cause, Citation, Decision, Route
from clients.asking import Ask
from clients.decision import Gate, decide
from clients.index import Chunk, Collection, Document, Hit, Hits, JobRecord, Passage
from clients.ingest import JobKind
from clients.llm import ModelInfo
from clients.status import ServiceStatus, WorkerStatus
from clients.within import Within
from ui import session, units
from ui.exchanges import Exchange
from ui.labels import Labels
from ui.prose import Block, Span
from ui.views import chat, chunks, collections, health, ingest, passage, reindexing
from ui.views.decision import absent_reason

EN, ZH = Labels("en"), Labels("zh")
HIT = Hit(
    "k1", "d1", "guide.md", "One. Two. Three.", 3.21, "fused", page=2, heading="Guide > Start",
    scores={"dense": 0.71, "keyword": 4.5}, ranks={"dense": 1},
)  # fmt: skip
DECISION = Decision("answer", 0.9, 0.5, "all words are there", t_low=0.2)
CITATION = Citation(1, "k1", "d1", "guide.md", "One. Two. Three.", "Two.", 5, 9, page=2)


def answer(
    text: str, kind: AnswerKind = "extractive", citations: tuple[Citation, ...] = (CITATION,), route: Route = "answer"
) -> Answer:
    decision = replace(DECISION, route=route)
    return Answer(
        text, kind, list(citations), decision, "why?", "why?", "qwen", {"search": 0.2, "extract": 0.1}, ["n1"]
    )


def exchange(given: Answer | None, *hits: Hit, text: str = "") -> Exchange:
    decision = given.decision if given else None
    return Exchange("why?", "handbook", given.text if given else text, "", list(hits), decision, given)


def words_of(blocks: list[Block]) -> str:
    return "\n".join("".join(span.text for span in block.spans) for block in blocks)


# -- another embedding model ---------------------------------------------------------------------------


def test_a_collection_offers_new_vectors_when_another_model_serves_and_follows_the_change() -> None:
    papers = Collection("papers", "Papers", model="e5", dimension=384)
    minilm = [ModelInfo("embed", "minilm", "openvino"), ModelInfo("rerank", "maxsim", "openvino")]
    differs = reindexing.notice(papers, minilm, [], EN)
    assert differs == reindexing.Notice("Searched by e5; minilm serves now. New vectors can be made; searching goes on "
                                        "meanwhile.")  # fmt: skip
    running = JobRecord("j", "papers", "running", bytes_total=10, bytes_done=4, stage="embedding anew", model="minilm",
                        kind="reindex")  # fmt: skip
    assert reindexing.notice(papers, minilm, [running], ZH) == reindexing.Notice(
        "正在用 minilm 重建向量：40%", "j", 0.4
    )
    assert ingest.card(running, EN).headline == "New vectors by minilm · embedding anew"
    others = [replace(running, status="succeeded"), replace(running, collection="other"), replace(running, model="")]
    assert reindexing.notice(papers, minilm, others, EN) == differs


@pytest.mark.parametrize(
    ("own", "models"),
    [
        ("e5", [ModelInfo("embed", "e5", "openvino")]),
        ("", [ModelInfo("embed", "minilm", "openvino")]),
        ("e5", [ModelInfo("embed", "minilm", "openvino", status="loading")]),
        ("e5", []),
    ],
)
def test_a_collection_says_nothing_of_its_model_while_there_is_nothing_to_do(own: str, models: list[ModelInfo]) -> None:
    assert reindexing.notice(Collection("papers", "Papers", model=own), models, [], EN) is None


# -- chat --------------------------------------------------------------------------------------------


def test_a_quoted_answer_shows_chips_sources_and_how() -> None:
    said = chat.said(exchange(answer("Two. [1]"), HIT), EN)
    assert said.how == "quoted"
    assert said.blocks[0].spans[-1] == Span("1", "chip", 0)
    assert said.targets == [passage.of_citation(CITATION)]
    assert said.blocks[0].shape == "quote"
    assert said.blocks[1] == Block([Span("guide.md", "link", 0), Span(" · page 2", "quiet")], "cite")
    assert said.footnote == "Quoted from your documents · 300 ms"


def test_two_quotes_of_one_passage_have_two_chips_and_one_source() -> None:
    second = replace(CITATION, quote="Three.", start=10, end=16)
    said = chat.said(exchange(answer("Two. [1]\n\nThree. [1]", citations=(CITATION, second))), EN)
    assert [block.shape for block in said.blocks] == ["quote", "quote", "cite"]
    assert [block.spans[-1].target for block in said.blocks[:2]] == [0, 1]
    assert said.blocks[2].spans[0] == Span("guide.md", "link", 0)
    assert [target.quote for target in said.targets] == ["Two.", "Three."]


def test_a_quote_that_only_repeats_the_question_is_left_out() -> None:
    second = replace(CITATION, quote="Three.", start=10, end=16)
    said = chat.said(exchange(answer("Why? [1]\n\nThree. [1]", citations=(CITATION, second))), EN)
    assert [block.shape for block in said.blocks] == ["quote", "cite"]
    assert said.blocks[0].spans[-1] == Span("1", "chip", 1)
    alone = chat.said(exchange(answer("Why? [1]")), EN)
    assert alone.blocks[0].shape == "quote"


def test_the_decision_is_told_in_the_language_of_the_page() -> None:
    hits = Hits([HIT], coverage=0.7)
    for route, threshold in (("answer", 0.0), ("absent", 1.1)):
        decided = decide(hits, [], Gate(threshold, min(threshold, 0.6)))
        assert decided.route == route
        text = words_of(chat.why(replace(exchange(None, HIT), decision=decided), ZH).blocks)
        assert ZH(f"why.route.{route}") in text
        assert "70%" in text
        assert "informative" not in text


def test_a_calibrated_decision_says_so_with_its_three_numbers() -> None:
    fitted = Decision("fallback", 0.7, 0.6, "good", calibrated=True, t_low=0.25)
    asked = replace(exchange(None, HIT), decision=fitted)
    for labels, words in (
        (
            EN,
            "Confidence 0.70, lower threshold 0.25, upper threshold 0.60 (fitted to this knowledge base): good",
        ),
        (ZH, "置信度 0.70，下阈值 0.25，上阈值 0.60（已按本知识库校准）：再按关键词检索后，足以回答"),
    ):
        assert words in words_of(chat.why(asked, labels).blocks)


def test_each_cause_of_an_absence_is_told_apart() -> None:
    def reason(cause: Cause) -> str:
        return absent_reason(Decision("absent", 0.3, 0.5, "", cause=cause), [HIT], EN)

    causes: tuple[Cause, ...] = ("empty", "incomplete", "pending", "unsure", "irrelevant")
    assert len({reason(cause) for cause in causes}) == len(causes)
    assert reason("unsure").startswith("What was found may be related")
    unsure = replace(exchange(None, HIT), decision=Decision("absent", 0.3, 0.5, "", cause="unsure"))
    assert "可能相关" in words_of(chat.why(unsure, ZH).blocks)


def test_documents_that_are_not_ready_are_counted_where_there_is_no_answer() -> None:
    lacking = Decision("absent", 0.3, 0.5, "", cause="irrelevant", num_pending=7)
    assert absent_reason(lacking, [HIT], EN).endswith(" 7 documents are not ready yet.")
    assert "7 篇文档尚未就绪" in absent_reason(replace(lacking, cause="pending"), [], ZH)


def test_a_text_in_several_chunks_says_so_among_the_hits_and_in_the_drawer() -> None:
    copied = replace(HIT, num_copies=4)
    assert "in 4 chunks" in words_of(chat.why(exchange(None, copied), EN).blocks)
    (target,) = chat.said(exchange(answer("Two. [1]"), copied), EN).targets
    assert passage.shown(target, Passage(MIDDLE, DOCUMENT, [], []), EN).copies == "in 4 chunks"
    (target,) = chat.said(exchange(answer("Two. [1]"), HIT), EN).targets
    assert passage.shown(target, Passage(MIDDLE, DOCUMENT, [], []), EN).copies == ""


def test_an_answer_from_some_documents_says_from_which() -> None:
    within = Within([f"{n}.pdf" for n in range(5)], kinds=["pdf"])
    limited = replace(answer("Two. [1]"), within=within)
    assert "only in '0.pdf', '1.pdf', '2.pdf' and 2 more; 'pdf'" in chat.footnote(limited, EN)
    assert "仅限'0.pdf'" in chat.footnote(limited, ZH)


def test_an_answer_that_is_not_grounded_is_marked_in_its_footnote() -> None:
    assert chat.footnote(replace(answer("Two. [1]"), is_grounded=False), EN).startswith("not grounded in this")


def test_a_keyword_score_of_nothing_is_not_shown() -> None:
    hit = replace(HIT, scores={"dense": 0.7, "keyword": 0.0}, ranks={"dense": 1, "keyword": 2})
    assert "keywords" not in words_of(chat.why(exchange(None, hit), EN).blocks)


def test_a_written_answer_names_its_model() -> None:
    said = chat.said(exchange(answer("It is **two** [1], not [7].", "written")), ZH)
    assert said.how == "written"
    assert Span("two", "strong") in said.blocks[0].spans
    assert [span for span in said.blocks[0].spans if span.look == "chip"] == [Span("1", "chip", 0)]
    assert "由 qwen 撰写" in said.footnote


def test_an_answer_under_way_cites_the_hits() -> None:
    said = chat.said(exchange(None, HIT, text="Two [1] so"), EN)
    assert said.how == "unknown"
    assert Span("1", "chip", 0) in said.blocks[0].spans
    assert said.targets[0].chunk_id == "k1"
    assert chat.said(exchange(None, text="Two [1] so"), EN).blocks[0].spans == [Span("Two "), Span("[1]"), Span(" so")]


def test_a_stopped_answer_says_so() -> None:
    said = chat.said(replace(exchange(None, HIT, text="Two"), is_stopped=True), EN)
    assert (said.how, said.footnote) == ("stopped", "Stopped.")


def test_an_absent_answer_gives_numbers_and_the_closest_passage() -> None:
    absent = answer("Not there.", "none", (), "absent")
    said = chat.said(exchange(absent, HIT), EN)
    assert said.how == "absent"
    assert said.targets == [passage.of_hit(HIT)]
    decision = Decision("absent", 0.214, 0.35, "too far")
    assert (
        absent_reason(decision, [HIT], EN)
        == "What was found does not answer this: confidence 0.21, and 0.35 is needed."
    )
    assert absent_reason(decision, [], EN) == "The search found nothing."


def test_why_shows_query_scores_ranks_timings_and_notes() -> None:
    why = chat.why(replace(exchange(answer("Two. [1]"), HIT), query="why two?"), EN)
    text = words_of(why.blocks)
    for expected in (
        "Searched for: why two?",
        "Confidence 0.90, lower threshold 0.20, upper threshold 0.50 (uncalibrated, the defaults): the passages found",
        "guide.md · page 2 · Guide > Start", "fused 3.21 · meaning 0.71 (#1) · keywords 4.50",
        "Time: search 200 ms · pick sentences 100 ms", "Notes: n1",
    ):  # fmt: skip
        assert expected in text
    assert why.targets == [passage.of_hit(HIT)]
    assert "没有检索到内容" in words_of(chat.why(exchange(None), ZH).blocks)


def test_the_first_token_is_not_counted_twice() -> None:
    written = replace(answer("Two. [1]", "written"), timings={"first_token": 1.0, "generate": 3.0, "search": 0.5})
    assert chat.footnote(written, EN).endswith("3.5 s")
    assert "keyword search" in chat.footnote(answer("Two. [1]", route="fallback"), EN)


def test_the_page_says_what_it_is_doing() -> None:
    assert chat.progress(exchange(None), EN) == "Searching…"
    assert chat.progress(exchange(None, HIT, HIT), EN) == "Found 2 passages, reading…"


# -- passage -----------------------------------------------------------------------------------------

TEXT = "One. Two. Three. Four. Five."
MIDDLE = Chunk("k2", "d1", 1, TEXT[5:16], 5, 16, page=2, heading="Guide")
BEFORE = Chunk("k1", "d1", 0, TEXT[0:9], 0, 9)
AFTER = Chunk("k3", "d1", 2, TEXT[10:28], 10, 28)
DOCUMENT = Document("d1", "handbook", "guide.md", "text/markdown", 28, "ready")


def test_the_cited_words_are_marked_between_their_neighbours() -> None:
    target = passage.Target("k2", "guide.md", MIDDLE.text, "Three.", 5, 11)
    shown = passage.shown(target, Passage(MIDDLE, DOCUMENT, [BEFORE], [AFTER]), EN)
    assert (shown.document, shown.document_id, shown.place) == ("guide.md", "d1", "page 2 · Guide")
    assert [block.shape for block in shown.blocks] == ["quiet", "paragraph", "quiet"]
    assert shown.blocks[1].spans == [Span("Two. "), Span("Three.", "mark")]


def test_the_overlap_of_neighbours_is_shown_once() -> None:
    shown = passage.shown(passage.Target("k2", "g", ""), Passage(MIDDLE, DOCUMENT, [BEFORE], [AFTER]), EN)
    assert words_of(shown.blocks).split() == TEXT.split()


@given(
    some.lists(some.integers(min_value=0, max_value=60), min_size=4, max_size=10, unique=True).map(sorted),
    some.integers(min_value=0, max_value=8), some.data(),
)  # fmt: skip
def test_neighbours_join_without_a_gap_or_a_repeat(cuts: list[int], overlap: int, data: some.DataObject) -> None:
    text = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    edges = [(max(cuts[0], start - overlap), end) for start, end in itertools.pairwise(cuts)]
    chunks = [Chunk(str(i), "d", i, text[a:b], a, b) for i, (a, b) in enumerate(edges)]
    at = data.draw(some.integers(min_value=0, max_value=len(chunks) - 1))
    found = Passage(chunks[at], DOCUMENT, chunks[:at], chunks[at + 1 :])
    shown = passage.shown(passage.Target(chunks[at].id, "d", ""), found, EN)
    assert words_of(shown.blocks).replace("\n", "") == text[cuts[0] : cuts[-1]]


@pytest.mark.parametrize(
    ("text", "quote", "start", "end", "marked"),
    [
        ("One. Two.", "Two.", 5, 9, (5, 9)),
        ("New. One. Two.", "Two.", 5, 9, (10, 14)),
        ("One.\n Two\n  three.", "Two three.", 3, 4, (6, 18)),
        ("Two. Two.", "Two.", 1, 5, None),
        ("All else.", "Two.", 5, 9, None),
        ("One. Two.", "", 0, 0, None),
        ("One. Two.", "  ", 4, 5, None),
    ],
)
def test_only_a_quote_that_is_surely_there_is_marked(
    text: str, quote: str, start: int, end: int, marked: tuple[int, int] | None
) -> None:
    assert passage.located(text, passage.Target("k", "d", "", quote, start, end)) == marked


def test_a_passage_that_is_gone_shows_what_the_answer_remembers() -> None:
    shown = passage.remembered(passage.of_citation(CITATION), EN)
    assert shown.document_id == ""
    assert shown.blocks[0].spans[1] == Span("Two.", "mark")
    assert passage.remembered(passage.Target("k", "d", ""), EN).blocks == []


# -- collections -------------------------------------------------------------------------------------


def test_a_card_counts_documents_chunks_and_failures() -> None:
    shown = collections.card(Collection("kb", "产品手册", "e5", 384, "cosine", 3, 40, 1, 0.0), ZH)
    assert (shown.title, shown.facts, shown.failed) == ("产品手册", "3 篇文档 · 40 个分块", "1 篇失败")
    assert "e5" in shown.footnote
    assert collections.card(Collection("kb", ""), EN).title == "kb"
    assert collections.card(Collection("kb", ""), EN).failed == ""


@pytest.mark.parametrize(
    ("title", "taken", "name"),
    [
        ("Product manuals", (), "product-manuals"),
        ("产品 手册（2026）", (), "产品-手册-2026"),
        ("Q&A / FAQ", (), "q-a-faq"),
        ("ＡＢＣ", (), "abc"),
        ("papers", ("papers",), "papers-2"),
        ("papers", ("papers", "papers-2"), "papers-3"),
        ("!!!", (), ""),
        ("", (), ""),
    ],
)
def test_any_title_has_a_free_key(title: str, taken: tuple[str, ...], name: str) -> None:
    assert collections.slug(title, taken) == name


@given(some.text(max_size=200), some.integers(min_value=0, max_value=3))
def test_keys_are_valid_and_free(title: str, num_taken: int) -> None:
    taken: list[str] = []
    for _ in range(num_taken + 1):
        name = collections.slug(title, taken)
        if name:
            assert name not in taken
            assert len(name) <= 64
            assert all(c.isalnum() or c in "-_" or c.isidentifier() or ("a" + c).isidentifier() for c in name)
            taken.append(name)


def test_the_wanted_collection_is_chosen_and_a_lost_one_replaced() -> None:
    known = [Collection("first", ""), Collection("handbook", ""), Collection("mine", "")]
    assert collections.chosen("mine", known) is known[2]
    assert collections.chosen("gone", known) is known[1]
    assert collections.chosen("gone", known[:1]) is known[0]
    assert collections.chosen("mine", []) is None


def test_a_failed_document_says_why_and_what_to_do() -> None:
    failed = replace(DOCUMENT, status="failed", reason="no text layer", fix="run ocr first", num_chunks=0)
    row = collections.row(failed, EN)
    assert (row.status, row.color, row.reason, row.fix) == (
        "failed",
        "red",
        "no text layer",
        "What to do: run ocr first",
    )
    assert (row.can_retry, row.has_chunks) == (True, False)
    ready = collections.row(replace(DOCUMENT, num_chunks=4), ZH)
    assert (ready.status, ready.color, ready.can_retry, ready.has_chunks) == ("就绪", "green", False, True)
    assert ready.facts == "28 B · 4 个分块"
    assert collections.row(replace(DOCUMENT, status="embedding"), EN).color == "orange"


def test_pages_and_places() -> None:
    assert [collections.num_pages(n, 20) for n in (0, 20, 21)] == [1, 1, 2]
    assert chunks.state_line(MIDDLE, EN) == "Chunk 2 · page 2 · Guide"
    changed = replace(MIDDLE, is_enabled=False, is_edited=True)
    assert chunks.state_line(changed, EN) == "Chunk 2 · page 2 · Guide · edited · off"


def test_a_text_can_be_cut_before_each_sentence_but_the_first() -> None:
    text = "One is here. Two is “there.” Three\n四在这里。五在那里。"
    parts = [text[place:] for place in chunks.breaks(text)]
    assert [part[:3] for part in parts] == ["Two", "Thr", "四在这", "五在那"]
    assert chunks.breaks("No end in sight, at 3.5 metres.") == []


# -- ingest ------------------------------------------------------------------------------------------


def test_an_overlap_as_long_as_the_chunk_is_refused() -> None:
    assert ingest.cut(512, 64, EN).problem == ""
    assert "(512) must be smaller" in ingest.cut(512, 512, EN).problem
    assert "必须小于" in ingest.cut(128, 400, ZH).problem
    assert ingest.cut(200, 0, EN, by_line=True).chunking.overlap == 0
    assert ingest.cut(200, 0, EN, by_line=True).chunking.by_line


def test_two_files_of_one_name_both_arrive() -> None:
    assert ingest.free_names(["a.txt", "a.txt", "b.txt", "a.txt"]) == ["a.txt", "a (2).txt", "b.txt", "a (3).txt"]
    assert ingest.free_names(["a (2).txt", "a.txt", "a.txt"]) == ["a (2).txt", "a.txt", "a (3).txt"]


@pytest.mark.parametrize(
    ("path", "is_allowed"),
    [
        ("/srv/docs", True),
        ("/srv/docs/a/b.pdf", True),
        ("/srv/docs/../etc/passwd", False),
        ("/srv/docs2", False),
        ("docs", False),
    ],
)
def test_a_path_outside_the_roots_is_named(path: str, is_allowed: bool) -> None:
    root = str(PurePath("/srv/docs"))
    assert (ingest.first_outside([root, path], [root]) == "") == is_allowed


def test_lines_without_words_do_not_count() -> None:
    assert ingest.lines_of(" one \n\n\t\ntwo") == ["one", "two"]


RUNNING = JobRecord("j1", "kb", "running", 9, 6, 1, 2, 120, 1_000_000, 410_000, "embedding", "guide.pdf", 12.0)


def test_a_running_job_shows_bytes_stage_document_and_time_left() -> None:
    card = ingest.card(RUNNING, EN)
    assert (card.is_running, card.fraction) == (True, 0.41)
    assert card.headline == "7 of 9 documents · embedding"
    assert card.current == "Now: guide.pdf"
    assert not card.can_ask
    waiting = replace(RUNNING, stage="waiting for the LLM service: no worker")
    assert ingest.card(waiting, ZH).headline == "7/9 篇 · 等待模型服务: no worker"
    assert card.facts == (
        "410 KB of 1.0 MB · 120 chunks · 00:12 elapsed · about 00:17 left · 2 unchanged, skipped · 1 failed"
    )


def test_time_left_is_not_guessed_too_early() -> None:
    for early in (
        replace(RUNNING, elapsed_s=1.0),
        replace(RUNNING, bytes_done=50_000),
        replace(RUNNING, bytes_total=0),
    ):
        assert "left" not in ingest.card(early, EN).facts


def test_finished_jobs_say_how_they_ended() -> None:
    done = replace(RUNNING, status="succeeded", bytes_done=999_000)
    assert ingest.card(done, EN).headline == "Done, some failed"
    assert ingest.card(done, EN).fraction == 1.0
    assert ingest.card(done, EN).can_ask
    assert not ingest.card(replace(done, num_done=0, unchanged=0), EN).can_ask
    assert ingest.card(replace(done, num_failed=0), ZH).headline == "完成"
    assert ingest.card(replace(RUNNING, status="cancelled"), EN).headline == "Cancelled"
    failed = replace(RUNNING, status="failed", reason="the disk is full")
    assert ingest.card(failed, EN).reason == "the disk is full"
    assert ingest.card(replace(failed, failures=[DOCUMENT]), EN).reason == ""
    assert ingest.running([done, RUNNING, failed]) == [RUNNING]


def test_a_card_says_what_its_job_is_for() -> None:
    done = replace(RUNNING, status="succeeded", num_failed=0)
    headlines = {kind: ingest.card(replace(done, kind=kind, model="e5"), EN).headline for kind in get_args(JobKind)}
    assert headlines == {
        "add": "Done",
        "web": "Web pages · Done",
        "watch": "Followed directory · Done",
        "import": "Import · Done",
        "reindex": "New vectors by e5 · Done",
        "retry": "Retry · Done",
        "recut": "Cut anew · Done",
        "repair": "Repair · Done",
        "resume": "Documents left unfinished · Done",
    }
    assert ingest.card(replace(RUNNING, kind="watch"), ZH).headline == "监视的目录 · 7/9 篇 · 计算向量"


# -- health ------------------------------------------------------------------------------------------


def service(name: str, state: str, **more: object) -> ServiceStatus:
    return ServiceStatus(service=name, state=state, **more)  # type: ignore[arg-type]  # the words of the test


def test_the_dot_is_as_bad_as_the_worst_service() -> None:
    ready = service("index", "ready", workers=[WorkerStatus("w", 1, "h", "ready", 1, 0)])
    assert health.health([ready], EN).color == "green"
    assert health.health([ready, service("llm", "starting")], EN).color == "orange"
    bad = health.health([ready, service("llm", "down", note="nobody listens")], ZH)
    assert bad.color == "red"
    assert bad.rows == [
        "索引服务：就绪，1 个工作进程，排队 0",
        "模型服务：不可用，0 个工作进程，排队 0 · nobody listens",
    ]
    assert health.health([], EN).color == "red"


def test_a_service_that_is_away_has_a_banner_with_a_cure() -> None:
    services = [service("index", "ready"), service("llm", "down")]
    assert health.banner(services, "index", EN) is None
    down = health.banner(services, "llm", EN)
    assert down is not None
    assert down.is_error
    assert "ragq up" in down.fix
    starting = health.banner([service("index", "starting")], "index", EN)
    assert starting is not None
    assert not starting.is_error
    assert health.banner([], "index", EN) is not None


def test_badges_name_the_models_that_really_answer() -> None:
    models = [ModelInfo("embed", "e5", "openvino"), ModelInfo("generate", "smollm2-135m-instruct", "openvino")]
    assert health.badges(models, Ask(), EN) == ["Answers: quoted sentences", "Vectors: e5"]
    assert health.badges(models, Ask(answer="written"), EN)[0] == "Answers: smollm2-135m-instruct"
    better = [ModelInfo("generate", "qwen", "openvino")]
    assert health.badges(better, Ask(), EN) == ["Answers: qwen"]
    assert health.badges(better, Ask(answer="extractive"), ZH) == ["回答：摘录原文"]
    assert health.badges([ModelInfo("generate", "qwen", "openvino", "no file")], Ask(), EN) == [
        "Answers: quoted sentences"
    ]
    assert health.badges([], Ask(), EN) == ["Models: unknown"]


# -- units and the URL ---------------------------------------------------------------------------------


def test_sizes_and_times_read_well() -> None:
    assert [units.size(n) for n in (0, 999, 1500, 150_000, 2_340_000, 5_100_000_000)] == [
        "0 B", "999 B", "1.5 KB", "150 KB", "2.3 MB", "5.1 GB",
    ]  # fmt: skip
    assert [units.clock(s) for s in (0, 12.4, 75, 3723, -1)] == ["00:00", "00:12", "01:15", "1:02:03", "00:00"]
    assert [units.took(s) for s in (0.038, 1.94)] == ["38 ms", "1.9 s"]
    assert units.day(0) == ""
    assert units.day(86_400 * 365, UTC) == "1971-01-01 00:00"


@pytest.mark.parametrize(
    ("held", "written", "given", "kept"),
    [
        ("", "", "papers", "papers"),  # a bookmark
        ("papers", "papers", "", "papers"),  # another page was opened, which clears the address
        ("papers", "handbook", "handbook", "papers"),  # chosen just now, the address is still the old one
        ("papers", "papers", "handbook", "handbook"),  # the browser's back button
    ],
)
def test_the_address_and_the_tab_agree(held: str, written: str, given: str, kept: str) -> None:
    assert session.synced(held, written, given) == kept
