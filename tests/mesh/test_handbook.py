"""The first five minutes: the sample knowledge base is there, answers its questions, and says what it lacks."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from clients import Ragq
from clients.answers import Answer
from clients.index import Document
from services.index.sample import COLLECTION, files
from tests.conftest import LiveMesh
from ui.questions import SUGGESTIONS, Suggestion

pytestmark = [pytest.mark.mesh, pytest.mark.models, pytest.mark.timeout(300)]

BROKEN = "scan-without-text.pdf"
SETTLED = ("ready", "failed", "cancelled")
INGEST_TIMEOUT_S = 180.0
SUGGESTED = [q for questions in SUGGESTIONS.values() for q in questions]
LINES = (Path(__file__).parents[1] / "data" / "handbook_questions.jsonl").read_text(encoding="utf-8").splitlines()
MORE = [(line["question"], line["documents"]) for line in map(json.loads, LINES)]


@pytest.fixture(scope="module")
def mesh(embedded_mesh: LiveMesh) -> Ragq:
    return embedded_mesh.client(timeout_s=120.0)


@pytest.fixture(scope="module")
def documents(mesh: Ragq) -> dict[str, Document]:
    """The handbook's documents by name, once the work on all of them has ended."""
    deadline = time.monotonic() + INGEST_TIMEOUT_S
    found: list[Document] = []
    while len(found) < len(files()) or any(d.status not in SETTLED for d in found):
        if time.monotonic() > deadline:
            pytest.fail(f"not settled: {[(d.name, d.status) for d in found]}")
        if COLLECTION in {c.name for c in mesh.index.collections()}:
            found = mesh.index.documents(COLLECTION).documents
        time.sleep(0.2)
    return {d.name: d for d in found}


def ask(mesh: Ragq, question: str) -> Answer:
    return mesh.ask(COLLECTION, question, answer="extractive")


def check_quotes(mesh: Ragq, answer: Answer) -> None:
    """Every citation is a marker of the text, and its quote stands in the passage that it points to."""
    assert answer.citations
    for citation in answer.citations:
        assert f"[{citation.marker}]" in answer.text
        assert citation.text[citation.start : citation.end] == citation.quote
        assert citation.quote
        assert citation.quote in mesh.index.passage(citation.chunk_id).chunk.text


def test_all_documents_are_ready_but_the_broken_one(documents: dict[str, Document]) -> None:
    assert set(documents) == {path.name for path in files()}
    assert {name for name, document in documents.items() if document.status != "ready"} == {BROKEN}
    assert all(d.num_chunks > 0 for d in documents.values() if d.name != BROKEN)


def test_the_broken_document_says_why_and_what_to_do(documents: dict[str, Document]) -> None:
    broken = documents[BROKEN]
    assert broken.status == "failed"
    assert "images" in broken.reason
    assert "ocrmypdf" in broken.fix
    assert broken.num_chunks == 0


@pytest.mark.parametrize("question", [q for q in SUGGESTED if q.documents], ids=lambda q: q.text)
def test_a_suggested_question_is_answered_from_the_right_document(
    mesh: Ragq, documents: dict[str, Document], question: Suggestion
) -> None:
    answer = ask(mesh, question.text)
    assert answer.kind == "extractive", answer.decision
    assert answer.decision.route == "answer"
    assert answer.citations[0].document in question.documents
    check_quotes(mesh, answer)


def test_the_table_of_the_pdf_is_quoted_with_its_page(mesh: Ragq, documents: dict[str, Document]) -> None:
    question = next(q for q in SUGGESTIONS["en"] if q.kind == "table")
    answer = ask(mesh, question.text)
    quoted = next(c for c in answer.citations if "7784" in c.quote)
    assert (quoted.document, quoted.page) == ("services-and-ports.pdf", 1)


@pytest.mark.parametrize("question", [q for q in SUGGESTED if not q.documents], ids=lambda q: q.text)
def test_an_unanswerable_suggestion_is_declined_with_the_reason(
    mesh: Ragq, documents: dict[str, Document], question: Suggestion
) -> None:
    answer = ask(mesh, question.text)
    assert (answer.kind, answer.decision.route, answer.citations) == ("none", "absent", [])
    assert answer.decision.confidence < answer.decision.threshold
    assert f"{answer.decision.confidence:.2f}" in answer.text
    assert answer.decision.reason


def test_most_other_questions_are_answered_and_cite_a_right_document(
    mesh: Ragq, documents: dict[str, Document]
) -> None:
    answers = [(ask(mesh, question), names) for question, names in MORE if names]
    declined = [a.question for a, _ in answers if a.kind == "none"]
    astray = [a.question for a, names in answers if a.citations and not {c.document for c in a.citations} & set(names)]
    assert len(declined) <= 0.1 * len(answers), declined
    assert len(astray) <= 0.15 * len(answers), astray


def test_most_other_unanswerable_questions_are_declined(mesh: Ragq, documents: dict[str, Document]) -> None:
    answers = [ask(mesh, question) for question, names in MORE if not names]
    answered = [(a.question, a.text) for a in answers if a.kind != "none"]
    assert len(answered) <= 0.2 * len(answers), answered
