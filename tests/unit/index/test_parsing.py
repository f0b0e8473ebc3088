"""Can a hostile file do more than end its own parser?"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.index import parsing
from services.index.loaders import Unreadable, load
from services.index.parse import reply_to
from services.index.parsing import Parser
from tests.data import make_documents as make

pytestmark = pytest.mark.process


@pytest.fixture
def parser() -> Iterator[Parser]:
    made = Parser(timeout_s=20.0, max_pages=10)
    yield made
    made.close()


def test_the_child_reads_what_the_loaders_read(parser: Parser) -> None:
    for content, name in ((make.pdf("one", "two pages"), "a.pdf"), (make.docx(), "a.docx"), (make.PAGE, "a.html")):
        assert parser.parse(content, name, "") == load(content, name, 10)
    first = parser._child
    assert parser.parse(make.pdf("again"), "b.pdf", "").text == "again"
    assert parser._child is first


def test_a_reason_comes_back_from_the_child(parser: Parser) -> None:
    with pytest.raises(Unreadable, match="password"):
        parser.parse(make.locked_pdf(), "a.pdf", "")
    assert parser.parse(make.pdf("next"), "b.pdf", "").text == "next"


def test_a_child_that_dies_fails_its_document_only(parser: Parser) -> None:
    parser.parse(make.pdf("first"), "a.pdf", "")
    child = parser._child
    assert child is not None
    child.kill()
    child.wait()
    assert parser.parse(make.pdf("second"), "a.pdf", "").text == "second"


def test_a_file_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    parser = Parser(timeout_s=0.05, max_pages=10)
    with pytest.raises(Unreadable, match="took longer") as refused:
        parser.parse(make.pdf("slow to start"), "a.pdf", "")
    assert "parse_timeout_s" in refused.value.help
    parser._timeout_s = 20.0
    assert parser.parse(make.pdf("fast enough"), "a.pdf", "").text == "fast enough"
    parser.close()


def test_a_file_that_wants_too_much_memory_is_given_up(parser: Parser, monkeypatch: pytest.MonkeyPatch) -> None:
    parser.parse(make.pdf("warm"), "a.pdf", "")
    monkeypatch.setattr(parsing, "MEMORY_BYTES", 1 << 20)
    with pytest.raises(Unreadable):
        parser.parse(make.docx(), "a.docx", "")
    monkeypatch.undo()
    assert parser.parse(make.docx(), "a.docx", "").headings


def test_a_text_that_was_given_as_text_is_taken_as_it_is(parser: Parser) -> None:
    assert parser.parse(b"%PDF-1.4 is how a PDF begins", "PDF", "text/plain").text == "%PDF-1.4 is how a PDF begins"
    assert parser.parse(b"# Title\n\ntext", "a.md", "text/markdown").headings[0].title == "Title"


def test_a_wrong_request_is_answered() -> None:
    assert "asked wrongly" in str(reply_to({"content": "text"})["reason"])
    assert "asked wrongly" in str(reply_to({"content": b"x", "name": "a.txt", "max_pages": 1})["reason"])
