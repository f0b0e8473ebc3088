"""The handbook says what is true of this ragq, and its made files can be made again."""

import csv
import importlib.util
import io
from pathlib import Path

import pytest

from clients.config import Config
from services.index.loaders import Unreadable, load
from services.index.sample import files
from ui.questions import SUGGESTIONS

MAX_PAGES = 5000
BROKEN = "scan-without-text.pdf"
MAKER = Path(__file__).resolve().parents[2] / "data" / "make_sample.py"


def _maker():
    spec = importlib.util.spec_from_file_location("make_sample", MAKER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _text(name: str) -> str:
    path = next(p for p in files() if p.name == name)
    return load(path.read_bytes(), name, MAX_PAGES).text


def _setting(key: str) -> object:
    value: object = Config()
    for part in key.split("."):
        value = getattr(value, part)
    return value


def test_every_file_but_one_can_be_read_and_is_short():
    texts = {p.name: _text(p.name) for p in files() if p.name != BROKEN}
    assert len(texts) >= 14
    assert all(300 <= len(text) <= 3000 for text in texts.values())
    assert {Path(name).suffix for name in texts} == {".md", ".pdf", ".docx", ".html", ".csv", ".txt"}


def test_the_broken_file_says_why_and_what_to_do():
    with pytest.raises(Unreadable, match="images") as caught:
        _text(BROKEN)
    assert "ocrmypdf" in caught.value.help


def test_one_file_is_in_gbk_and_is_read_right():
    raw = next(p for p in files() if p.name == "故障排查.txt").read_bytes()
    with pytest.raises(UnicodeDecodeError):
        raw.decode("utf-8")
    assert "端口被占用" in _text("故障排查.txt")


def test_the_settings_table_has_the_defaults_of_the_configuration():
    path = next(p for p in files() if p.name == "settings.csv")
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    assert len(rows) > 20
    assert "key: index.max_pages | default: 5000 | meaning: " in _text("settings.csv")
    for row in rows:
        default = _setting(row["key"])
        said = "true" if default is True else "false" if default is False else str(default).removesuffix(".0")
        assert row["default"] == said, row["key"]


def test_the_ports_of_the_pdf_are_those_of_the_configuration():
    text, config = _text("services-and-ports.pdf"), Config()
    for title, name in (("LLM", "llm"), ("Index", "index"), ("Tuning", "tuning")):
        section = config.service(name)
        assert f"{title} service | {section.front_end.port} | {section.back_end.port}" in text
    assert f"HTTP face | {config.http.port} | none" in text
    assert f"Web page | {config.ui.port} | none" in text


@pytest.mark.parametrize("name", ["services-and-ports.pdf", BROKEN])
def test_the_pdfs_can_be_made_again_byte_for_byte(name):
    assert next(p for p in files() if p.name == name).read_bytes() == _maker().made()[name]


def test_the_word_document_can_be_made_again():
    # Its bytes depend on the template of the python-docx that made it; its text does not.
    name = "文档格式与限制.docx"
    assert load(_maker().made()[name], name, MAX_PAGES).text == _text(name)


def test_every_suggested_question_names_documents_that_exist():
    names = {p.name for p in files()}
    for language, questions in SUGGESTIONS.items():
        assert [q.kind for q in questions] == ["easy", "other_language", "table", "absent"], language
        for question in questions:
            assert set(question.documents) <= names
            assert bool(question.documents) == (question.kind != "absent")
