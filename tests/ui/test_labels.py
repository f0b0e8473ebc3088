"""Every word of the pages is in the table, in both languages, and nowhere else."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from clients.answers import Route
from clients.index import HitScore, JobStatus, Mode, Status, Strategy
from clients.ingest import JobKind
from clients.ways import Way
from ui.labels import LANGUAGES, TABLE, Labels, language_of
from ui.parts.wishes import ANSWERS, MODES
from ui.questions import SUGGESTIONS
from ui.views.marking import FIGURES

UI = Path(__file__).parents[2] / "ui"
FILES = sorted(path for path in UI.rglob("*.py") if "cli" not in path.relative_to(UI).parts)
# Words that stay Latin in Chinese texts: names of programs, commands, files, formats and units.
LATIN = {"ragq", "ragq.yml", "status", "up", "Markdown", "PDF", "Word", "Switch", "to", "English", "MB"}
SHOWS = {
    "text", "markdown", "caption", "header", "subheader", "title", "button", "error", "warning", "info", "success",
    "write", "toast", "badge", "expander", "popover", "text_input", "text_area", "selectbox", "checkbox", "dialog",
    "number_input", "file_uploader", "chat_input", "tabs", "code",
}  # fmt: skip
# Keys that are put together from a service's word.
FAMILIES = {
    "status.": get_args(Status),
    "strategy.": get_args(Strategy),
    "jobs.": [status for status in get_args(JobStatus) if status != "running"],
    "jobs.kind.": [kind for kind in get_args(JobKind) if kind != "add"],
    "stage.": [
        "waiting_for_its_turn",
        "fetching",
        "reading_files",
        "parsing",
        "recognising_text",
        "embedding",
        "embedding_anew",
        "storing",
        "waiting_for_the_LLM_service",
    ],
    "health.": ["ready", "starting", "draining", "down"],
    "health.state_": ["ready", "starting", "draining", "down"],
    "banner.": ["down", "starting", "draining"],
    "why.signals.": ["dense", "keyword", "rerank", *get_args(HitScore)],
    "why.route.": get_args(Route),
    "why.cause.": ["unsure", "incomplete", "pending"],
    "chat.lacks.": ["empty", "incomplete", "pending", "unsure"],
    "why.stage.": [
        "search",
        "second_search",
        "extract",
        "first_token",
        "generate",
        "embed",
        "dense",
        "keyword",
        "rerank",
    ],
    "retrieval.way.": [str(Way(mode, rerank)) for mode in get_args(Mode) for rerank in (False, True)],
    "retrieval.route.": get_args(Route),
    "hit.": ["dense", "keyword"],
    "wishes.answer.": ANSWERS,
    "wishes.mode.": MODES,
    "wishes.": [
        "absent",
        "absent_hint",
        "opener",
        "opener_hint",
        "instructions",
        "instructions_hint",
        "presence_penalty",
        "frequency_penalty",
    ],
    "marking.": ["right", "wrong"],
    "figure.": FIGURES,
    "service.": ["index", "llm", "tuning"],
    "chat.suggest_": ["easy", "other_language", "table", "absent"],
}


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def literals(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def asked() -> Iterator[tuple[Path, str]]:
    """Every key that the code names outright: the first argument of words("…") and labels("…")."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and ast.unparse(node.func).split(".")[-1] in {"words", "labels"}
                and node.args
            ):
                for part in ast.walk(node.args[0]):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str) and "." in part.value:
                        yield path, part.value


def test_every_key_that_a_page_asks_for_exists() -> None:
    named = [(path.name, key) for path, key in asked() if not key.endswith(".")]
    assert len(named) > 100
    assert [pair for pair in named if pair[1] not in TABLE and not any(k.startswith(pair[1]) for k in TABLE)] == []


def test_no_label_is_left_over() -> None:
    known = {text for path in FILES if path.parent.name != "words" for text in literals(path)}
    made = {f"{family}{word}" for family, words in FAMILIES.items() for word in words}
    assert [key for key in TABLE if key not in known | made] == []


@pytest.mark.parametrize("family", FAMILIES)
def test_every_word_of_a_service_has_a_label(family: str) -> None:
    assert [word for word in FAMILIES[family] if f"{family}{word}" not in TABLE] == []


def test_both_languages_say_everything_with_the_same_values() -> None:
    assert [key for key, texts in TABLE.items() if len(texts) != len(LANGUAGES) or not all(map(str.strip, texts))] == []
    assert [key for key, (zh, en) in TABLE.items() if placeholders(zh) != placeholders(en)] == []


def test_chinese_texts_are_chinese() -> None:
    for key, (zh, _) in TABLE.items():
        words = set(re.findall(r"[A-Za-z][\w.]*", re.sub(r"\{\w+\}", "", zh)))
        assert words <= LATIN, key


def own_words(shown: ast.expr) -> list[str]:
    """The literals of an expression that are not handed to a call inside it, such as the key of a label."""
    if isinstance(shown, ast.Call):
        return []
    if isinstance(shown, ast.Constant):
        return re.findall(r"[^\W\d_]{2,}", re.sub(r":material/\w+:", "", str(shown.value or "")))
    return [word for part in ast.iter_child_nodes(shown) if isinstance(part, ast.expr) for word in own_words(part)]


@pytest.mark.parametrize(
    "path", [p for p in FILES if p.parent.name != "words"], ids=lambda path: str(path.relative_to(UI))
)
def test_pages_write_no_text_of_their_own(path: Path) -> None:
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and call.func.attr in SHOWS
            and call.args
        ):
            assert own_words(call.args[0]) == [], ast.unparse(call)


def test_the_check_for_text_sees_text() -> None:
    assert own_words(ast.parse("'Hello'", mode="eval").body) == ["Hello"]
    assert own_words(ast.parse("f'**{words(\"a.b\")}** now'", mode="eval").body) == ["now"]
    assert own_words(ast.parse("words('chat.title')", mode="eval").body) == []


def test_an_unknown_key_and_a_missing_value_are_errors() -> None:
    labels = Labels("zh")
    with pytest.raises(KeyError):
        labels("chat.nonsense")
    with pytest.raises(KeyError):
        labels("collections.made")
    assert labels.word("status", "ready") == "就绪"
    assert labels.word("status", "waiting for the LLM service") == "waiting for the LLM service"


@pytest.mark.parametrize(
    ("locale", "language"), [("zh-CN", "zh"), ("ZH-tw", "zh"), ("en-GB", "en"), ("de", "en"), ("", "en")]
)
def test_the_language_of_a_browser(locale: str, language: str) -> None:
    assert language_of(locale) == language


def test_the_sample_has_questions_in_both_languages() -> None:
    assert set(SUGGESTIONS) == set(LANGUAGES)
    for questions in SUGGESTIONS.values():
        assert all(f"chat.suggest_{question.kind}" in TABLE for question in questions)
