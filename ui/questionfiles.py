"""How is a test set read from a file and written to one: JSON Lines, CSV, and directories in BEIR layout?"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from clients.errors import BadRequest, NotFound
from clients.evaluation import LAYOUT, read_beir
from clients.reading import read
from clients.testsets import Question, Relevant

JSONL = (
    'a line is {"question": "…", "documents": ["name of one that answers it"]}; "answer" and "relevant" are optional'
)
CSV = "the columns are question, document, text, answer, absent; a question may have several lines"
COLUMNS = ("question", "document", "text", "answer", "absent")
YES = ("1", "true", "yes", "x", "是")


def read_file(path: str | Path) -> list[Question]:
    """The questions of a file ending with ``.csv``, of a directory in BEIR layout, or of JSON Lines.

    Raises:
        NotFound: there is no such file.
        BadRequest: a line is not what the layout says; the message names file and line.
    """
    where = Path(path)
    if where.is_dir():
        return _beir(where)
    try:
        text = where.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise NotFound(f"no such file: {where}", help=f"{JSONL}; or {LAYOUT}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"{where} cannot be read as text: {error}", help="save it as UTF-8") from None
    return read_text(text, where.name)


def read_text(text: str, name: str) -> list[Question]:
    """The questions of a file's content.

    Args:
        text: CSV with a header, or JSON Lines.
        name: of the file; its ending tells CSV from JSON Lines, and messages show it.
    """
    is_csv = name.lower().endswith(".csv")
    found = list(_merged(_csv(text, name) if is_csv else _jsonl(text, name)))
    if not found:
        raise BadRequest(f"{name}: no questions", help=CSV if is_csv else JSONL)
    return found


def _beir(directory: Path) -> list[Question]:
    beir = read_beir(directory)
    return [
        Question(text, [Relevant(document, grade=grade) for document, grade in beir.judgements[key].items()])
        for key, text in beir.queries.items()
    ]


def _csv(text: str, name: str) -> Iterator[Question]:
    rows = csv.DictReader(io.StringIO(text))
    if "question" not in (rows.fieldnames or []):
        raise BadRequest(f"{name}: there is no column 'question'", help=CSV)
    for row in rows:
        values = {column: (row.get(column) or "").strip() for column in COLUMNS}
        if not values["question"]:
            raise BadRequest(f"{name}:{rows.line_num}: the question is empty", help=CSV)
        document = values["document"]
        relevant = [Relevant(document, values["text"])] if document else []
        yield Question(values["question"], relevant, values["answer"], values["absent"].lower() in YES)


def _jsonl(text: str, name: str) -> Iterator[Question]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise BadRequest(f"{name}:{number}: not JSON: {error}", help=JSONL) from None
        if not isinstance(value, dict):
            raise BadRequest(f"{name}:{number}: expected a JSON object", help=JSONL)
        yield _question(value, f"{name}:{number}")


def _question(line: Mapping[str, object], where: str) -> Question:
    """A question; one whose documents are an empty list has no answer in the collection."""
    relevant: list[object] = _list(line, "relevant", where)
    documents = [{"document": name} for name in _list(line, "documents", where)]
    answers = _list(line, "answers", where)
    value = {
        "text": line.get("question"),
        "relevant": [*relevant, *documents],
        "answer": line.get("answer", answers[0] if answers else ""),
        "must_abstain": line.get("must_abstain", "documents" in line and not documents and not relevant),
    }
    try:
        return read(Question, value)
    except BadRequest as error:
        raise BadRequest(f"{where}: {error.message}", help=JSONL) from None


def _list(line: Mapping[str, object], key: str, where: str) -> list[object]:
    value = line.get(key, [])
    if not isinstance(value, list):
        raise BadRequest(f"{where}: '{key}' is not a list", help=JSONL)
    return value


def _merged(questions: Iterator[Question]) -> Iterator[Question]:
    """Each text once, with all that answers it."""
    by_text: dict[str, Question] = {}
    for one in questions:
        first = by_text.setdefault(one.text, replace(one, relevant=[]))
        by_text[one.text] = replace(
            first, relevant=[*first.relevant, *one.relevant], answer=first.answer or one.answer,
            must_abstain=first.must_abstain or one.must_abstain,
        )  # fmt: skip
    yield from by_text.values()


def as_jsonl(questions: Sequence[Question]) -> str:
    """JSON Lines from which `read_text` makes the same questions."""
    lines = []
    for one in questions:
        value = {"question": one.text, "relevant": [_plain(each) for each in one.relevant], "answer": one.answer}
        lines.append(json.dumps({**value, "must_abstain": one.must_abstain}, ensure_ascii=False) + "\n")
    return "".join(lines)


def _plain(one: Relevant) -> dict[str, object]:
    default = asdict(Relevant(""))
    return {key: value for key, value in asdict(one).items() if value != default[key]}


def as_csv(questions: Sequence[Question]) -> str:
    """CSV with a line for each passage; places in documents and grades are left out."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(COLUMNS)
    for one in questions:
        absent = "yes" if one.must_abstain else ""
        for each in one.answering or [Relevant("")]:
            rows.writerow((one.text, each.document, each.text, one.answer, absent))
    return out.getvalue()
