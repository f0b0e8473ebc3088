"""Search, ask and the single functions on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from clients.errors import BadRequest, NotFound
from clients.index import Within
from tests.unit.cli.desk import Desk, unreachable
from ui.cli.comparing import Compared, lesson
from ui.cli.given import parse_documents, split_label
from ui.exchanges import exchange_of

Run = Callable[..., Result]


@pytest.fixture
def filled(desk: Desk) -> Desk:
    desk.index.add("docs", texts=["the wing gives lift", "the tail gives balance", "the engine gives thrust"])
    return desk


def test_search_shows_score_kind_place_and_text(ragq: Run, filled: Desk) -> None:
    result = ragq("search", "wing lift", "-c", "docs", "--mode", "keyword", "--no-rerank", "--top-k", "2")
    assert "1.0000 fused  the wing gives lift" in result.stdout
    request = filled.index_side.requests[-1]
    assert (request.mode, request.rerank, request.top_k) == ("keyword", False, 2)


def test_search_as_json_keeps_every_signal(ragq: Run, filled: Desk) -> None:
    found = json.loads(ragq("search", "wing", "-c", "docs", "--json").stdout)
    assert found["hits"][0]["scores"] == {"dense": 1.0}
    assert found["coverage"] == 1.0


def test_search_and_ask_are_limited_to_documents_sources_and_kinds(ragq: Run, filled: Desk) -> None:
    limits = ("--in", "a.pdf", "--in", "reports/*", "--source", "example.org", "--kind", "pdf")
    for command in ("search", "ask"):
        result = ragq(command, "what gives lift", "-c", "docs", *limits)
        assert result.exit_code == 0, result.output
        assert filled.index_side.requests[-1].within == Within(["a.pdf", "reports/*"], ["example.org"], ["pdf"])
    assert "only these documents were searched: 'a.pdf', 'reports/*'; 'example.org'; 'pdf'" in result.stderr
    ragq("search", "wing", "-c", "docs")
    assert filled.index_side.requests[-1].within is None


def test_the_least_scores_reach_the_search(ragq: Run, filled: Desk) -> None:
    ragq("search", "wing", "-c", "docs", "--at-least", "dense=0.25", "--at-least", "rerank=-1")
    assert filled.index_side.requests[-1].at_least == {"dense": 0.25, "rerank": -1.0}
    refused = ragq("search", "wing", "-c", "docs", "--at-least", "dense")
    assert refused.exit_code == 2
    assert "such as dense=0.8" in refused.output


def test_searching_a_collection_that_is_not_there_is_an_error(ragq: Run) -> None:
    assert isinstance(ragq("search", "x", "-c", "none").exception, NotFound)


def test_an_answer_comes_with_numbered_citations(ragq: Run, filled: Desk) -> None:
    result = ragq("ask", "what gives lift", "-c", "docs")
    assert result.exit_code == 0, result.output
    text, _, citations = result.stdout.partition("\n\n[1]")
    assert text.startswith("the wing gives lift [1]")
    assert "“the wing gives lift”" in citations


def test_an_unanswerable_question_says_why_and_shows_the_closest_passage(ragq: Run, filled: Desk) -> None:
    result = ragq("ask", "who gives a dog its favourite breakfast biscuits", "-c", "docs")
    assert result.exit_code == 0, result.output
    assert "0.50 is needed" in result.stdout
    assert "Why: the closest passages do not cover the question" in result.stdout
    assert "Closest passage: the wing gives lift" in result.stdout


def test_an_answer_as_json_is_one_document(ragq: Run, filled: Desk) -> None:
    answer = json.loads(ragq("ask", "what gives lift", "-c", "docs", "--json").stdout)
    assert answer["decision"]["route"] == "answer"
    assert answer["citations"][0]["marker"] == 1


def test_a_chat_remembers_its_rounds(ragq: Run, filled: Desk) -> None:
    ragq("ask", "what gives lift", "-c", "docs", "--chat", "c1")
    ragq("ask", "what about thrust", "-c", "docs", "--chat", "c1", "--json")
    assert [turn.question for turn in filled.index.chat("c1")] == ["what gives lift", "what about thrust"]
    first = exchange_of(filled.index.chat("c1")[0])
    assert first.hits
    assert first.answer
    assert first.answer.citations


def test_a_written_answer_streams_from_the_model(ragq: Run, filled: Desk) -> None:
    result = ragq("ask", "what gives lift", "-c", "docs", "--answer", "written")
    assert result.exit_code == 0, result.output
    assert filled.llm_side.num_tokens > 0


def test_embed_prints_the_dimension_and_first_values(ragq: Run) -> None:
    assert ragq("embed", "alpha beta").stdout.startswith("64  [+0.")


def test_embed_reads_lines_and_writes_an_array(ragq: Run, tmp_path: Path) -> None:
    file = tmp_path / "v.npy"
    result = ragq("embed", "--npy", file, "--role", "query", stdin="one\n\ntwo\nthree\n")
    assert result.exit_code == 0, result.output
    vectors = np.load(file)
    assert vectors.shape == (3, 64)
    assert vectors.dtype == np.float32


def test_embed_as_json_is_a_list_of_lists(ragq: Run, desk: Desk) -> None:
    rows = json.loads(ragq("embed", "a", "b", "--role", "query", "--json").stdout)
    assert [len(row) for row in rows] == [64, 64]
    assert desk.llm_side.requests[0].role == "query"


def test_embed_tells_the_instruction_and_the_dimension(ragq: Run, desk: Desk) -> None:
    ragq("embed", "a", "--role", "query", "--instruction", "Find recipes", "--dimension", "32")
    request = desk.llm_side.requests[0]
    assert (request.role, request.instruction, request.dimension) == ("query", "Find recipes", 32)


def test_embed_to_a_folder_that_is_not_there_says_so(ragq: Run, tmp_path: Path) -> None:
    assert isinstance(ragq("embed", "a", "--npy", tmp_path / "no" / "v.npy").exception, BadRequest)


def test_embed_of_bytes_that_are_no_text_says_so(ragq: Run) -> None:
    assert isinstance(ragq("embed", stdin=b"\xff\xfe\xff").exception, BadRequest)


def test_rerank_sorts_documents_from_a_file(ragq: Run, tmp_path: Path) -> None:
    file = tmp_path / "docs.txt"
    file.write_text("cats sleep\n\nplanes have wings\n")
    ranked = json.loads(ragq("rerank", "--query", "planes", "--docs", file, "--json").stdout)
    assert [r["index"] for r in ranked] == [1, 0]


def test_rerank_reads_standard_input(ragq: Run) -> None:
    assert "planes" in ragq("rerank", "--query", "planes", "--docs", "-", "--top-k", "1", stdin="cats\nplanes\n").stdout


def test_rerank_takes_labelled_inputs(ragq: Run) -> None:
    result = ragq("rerank", "-i", "doc1: cats sleep", "-i", "query: planes", "-i", "doc2: planes fly", "--json")
    assert [r["text"] for r in json.loads(result.stdout)] == ["planes fly", "cats sleep"]


def test_rerank_takes_files_as_inputs_and_writes_its_output(ragq: Run, tmp_path: Path) -> None:
    (tmp_path / "query.txt").write_text("planes\n")
    (tmp_path / "docs.json").write_text(json.dumps(["cats", {"text": "planes"}]))
    output = tmp_path / "out.json"
    inputs = ("-i", f"file://{tmp_path}/query.txt", "-i", f"file://{tmp_path}/docs.json")
    result = ragq("rerank", *inputs, "-o", output)
    assert result.exit_code == 0, result.output
    assert [r["text"] for r in json.loads(output.read_text())] == ["planes", "cats"]


def test_rerank_takes_texts_joined_by_pipes_and_paths(ragq: Run, tmp_path: Path) -> None:
    assert len(json.loads(ragq("rerank", "-i", "planes", "-i", "cats|||planes", "--json").stdout)) == 2
    (tmp_path / "docs.txt").write_text("cats\ndogs\nplanes\n")
    assert len(json.loads(ragq("rerank", "-i", "planes", "-i", tmp_path / "docs.txt", "--json").stdout)) == 3


def test_rerank_without_documents_shows_only_numbers(ragq: Run) -> None:
    arguments = ("rerank", "-i", "query: planes", "-i", "doc1: cats", "-i", "doc2: planes", "--no-documents")
    assert "planes" not in ragq(*arguments).stdout
    first = json.loads(ragq(*arguments, "--top-n", "1", "--json").stdout)
    assert [set(row) for row in first] == [{"index", "score", "logit", "kind"}]


def test_rerank_tells_the_model_and_the_instruction(ragq: Run, desk: Desk) -> None:
    ragq("rerank", "-i", "query: a", "-i", "doc1: b", "-m", "toy-rerank", "--instruction", "Find recipes")
    request = desk.llm_side.requests[-1]
    assert (request.model, request.instruction) == ("toy-rerank", "Find recipes")


def test_compare_shows_both_models_side_by_side_and_the_lesson(ragq: Run, desk: Desk) -> None:
    desk.llm_side.sharpness, desk.llm_side.offset = 10, -9.0
    arguments = ("rerank", "--compare", "-i", "query: planes", "-i", "doc1: cats sleep", "-i", "doc2: planes fly")
    head, first, second, _, lesson = ragq(*arguments).stdout.splitlines()
    assert head.split() == ["RANK", "BI-ENCODER", "LOGIT", "EXPIT", "INDEX", "TEXT"]
    assert first.split() == ["1", "+0.7071", "-1.929", "0.1269", "1", "planes", "fly"]
    assert second.split() == ["2", "+0.0000", "-9.000", "0.0001", "0", "cats", "sleep"]
    assert lesson.startswith("The best document is 1,028 times the second by expit, and 0.127 in itself")
    rows = json.loads(ragq(*arguments, "--json").stdout)
    assert set(rows[0]) == {"index", "similarity", "logit", "score", "kind", "text"}


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([Compared(0, 0.6, 4.0, 0.982, "probability", "x")], "The best document is 0.982 in itself"),
        ([Compared(0, 0.6, 0.8, 0.8, "similarity", "x")], "gives a similarity, not a logit"),
    ],
)
def test_the_lesson_of_one_document_and_of_no_cross_encoder(found: list[Compared], words: str) -> None:
    assert words in lesson(found)


@pytest.mark.parametrize("arguments", [(), ("--query", "x"), ("-i", "doc1: only")])
def test_rerank_without_query_or_documents_is_a_usage_error(ragq: Run, arguments: tuple[str, ...]) -> None:
    assert ragq("rerank", *arguments).exit_code == 2


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("query: a: b", ("query", "a: b")),
        ("Doc12:x", ("doc", "x")),
        ("document 3: x", ("doc", "x")),
        ("docker: a tool", ("", "docker: a tool")),
        ("see docs: x", ("", "see docs: x")),
    ],
)
def test_labels(text: str, parts: tuple[str, str]) -> None:
    assert split_label(text) == parts


def test_lines_that_begin_with_a_bracket_are_lines() -> None:
    assert parse_documents("[1] first\n[2] second\n", "docs.txt") == ["[1] first", "[2] second"]
    with pytest.raises(BadRequest, match="not JSON"):
        parse_documents("[1] first", "docs.json")
    with pytest.raises(BadRequest, match="expected a JSON list"):
        parse_documents("[1, 2]", "docs.json")


def test_generate_streams_and_tells_what_it_cost(ragq: Run, desk: Desk) -> None:
    result = ragq("generate", "hello there", "--system", "be kind", "--stop", "X", "--temperature", "0.5")
    assert result.stdout == "hello there \n"
    assert "2 tokens" in result.stderr
    request = desk.llm_side.requests[0]
    assert [m.role for m in request.messages] == ["system", "user"]
    assert (request.stop, request.temperature) == (["X"], 0.5)


def test_generate_raw_sends_the_prompt_as_it_is(ragq: Run, desk: Desk) -> None:
    result = ragq("generate", "-", "--raw", "--json", stdin="once upon")
    assert json.loads(result.stdout)["text"] == "once upon "
    assert desk.llm_side.requests[0].prompt == "once upon"


def test_a_mesh_that_does_not_answer_is_an_error_with_help(ragq: Run, desk: Desk) -> None:
    desk.llm_side.error = unreachable()
    failure = ragq("embed", "x").exception
    assert failure is desk.llm_side.error


@pytest.mark.parametrize(
    "words",
    [
        ("embed", "x", "--npy", "missing/x.npy"),
        ("rerank", "-i", "query: x", "-i", "doc: y", "-o", "missing/x.json"),
    ],
    ids=["embed", "rerank"],
)
def test_a_result_that_cannot_be_written_says_where_and_what_to_do(
    ragq: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    error = ragq(*words).exception
    assert isinstance(error, BadRequest)
    assert "cannot write missing/x" in str(error)
    assert "its directory has to exist" in str(error)


def test_an_empty_prompt_on_standard_input_is_refused_in_plain_words(ragq: Run) -> None:
    assert "standard input is empty; it should hold a prompt" in str(ragq("generate", "-").exception)
