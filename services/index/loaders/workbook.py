"""What does an Excel workbook say: the sheets that people see, row by row, with the titles of the columns."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from .base import Loaded, Unreadable, Writer
from .formats import Formats
from .package import RELATION, Package
from .tables import Cell, Row, Tables

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
STRICT = b"http://purl.oclc.org/ooxml/spreadsheetml/main"
BOOK = "xl/workbook.xml"
MERGED = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]*?ref="([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})"')
PLACE = re.compile(r"([A-Z]{1,3})(\d{1,7})")
MAX_MERGED = 50_000
MAX_SPAN = 256
NOT_IN_TEXT = frozenset({f"{MAIN}rPh", f"{MAIN}phoneticPr"})


def workbook(raw: bytes) -> Loaded:
    """The text of a workbook; each sheet stands below its name.

    Formulas are read as the values that Excel last saw, numbers and dates as they are shown. Sheets
    that are hidden are left out.

    Raises:
        Unreadable: damaged, too large, or nothing in it is shown.
    """
    return _Workbook(Package(raw, "the workbook")).loaded()


class _Workbook:
    def __init__(self, package: Package) -> None:
        self._package = package
        if STRICT in package.read(BOOK)[:4096]:
            raise Unreadable(
                "the workbook is in the 'Strict' form of the format", help="save it as a normal Excel workbook (.xlsx)"
            )
        self._book = package.tree(BOOK)
        self._relations = package.relations(BOOK)
        properties = self._book.find(f"{MAIN}workbookPr")
        is_1904 = properties is not None and properties.get("date1904") in ("1", "true")
        styles = self._part("styles")
        self._formats = Formats(package.tree(styles) if styles else None, is_1904=is_1904)
        self._strings = list(self._shared())

    def _part(self, kind: str) -> str:
        found = [target for name, target in self._relations.values() if name == kind and self._package.has(target)]
        return found[0] if found else ""

    def _shared(self) -> Iterator[str]:
        if part := self._part("sharedStrings"):
            for item in self._package.elements(part, f"{MAIN}si"):
                yield _words(item)

    def loaded(self) -> Loaded:
        writer = Writer()
        tables = Tables(writer)
        num_hidden = 0
        for sheet in self._book.iter(f"{MAIN}sheet"):
            if sheet.get("state") in ("hidden", "veryHidden"):
                num_hidden += 1
                continue
            kind, target = self._relations.get(sheet.get(f"{RELATION}id", ""), ("", ""))
            if kind == "worksheet":
                self._sheet(tables, sheet.get("name", ""), target)
        if num_hidden and not tables.num_cells:
            raise Unreadable("every sheet with something in it is hidden", help="show the sheets and save it again")
        made = writer.loaded(MEDIA_TYPE)
        return Loaded(made.text, made.media_type, headings=made.headings, is_lines=True)

    def _sheet(self, tables: Tables, name: str, target: str) -> None:
        rows = self._rows(target)
        first = next(rows, None)
        if first is None:
            return
        tables.writer.heading(1, " ".join(name.split()) or target)
        tables.writer.line("")
        tables.add(itertools.chain([first], rows))

    def _rows(self, target: str) -> Iterator[Row]:
        """The rows that have values; a cell merged over rows counts in each of them."""
        merged = _merged(self._package.read(target))
        going_down: list[tuple[int, int, Cell]] = []
        number = 0
        for element in self._package.elements(target, f"{MAIN}row"):
            number = int(element.get("r") or number + 1)
            row = self._row(element)
            if not row:
                continue
            going_down = [entry for entry in going_down if entry[1] >= number]
            for column, _, cell in going_down:
                row.setdefault(column, cell)
            for column in list(row):
                last_row, last_column = merged.get((number, column), (number, column))
                row[column] = replace(row[column], span=min(MAX_SPAN, last_column - column + 1))
                if last_row > number:
                    going_down.append((column, last_row, row[column]))
            yield row

    def _row(self, element: Any) -> Row:
        row: Row = {}
        column = -1
        for entry in element.iter(f"{MAIN}c"):
            place = PLACE.fullmatch(entry.get("r") or "")
            column = _column(place[1]) if place else column + 1
            cell = self._cell(entry)
            if cell.text.strip():
                row[column] = cell
        return row

    def _cell(self, entry: Any) -> Cell:
        kind, value = entry.get("t", "n"), entry.findtext(f"{MAIN}v")
        if kind == "inlineStr":
            inline = entry.find(f"{MAIN}is")
            return Cell("" if inline is None else _words(inline))
        if value is None:
            formula = entry.findtext(f"{MAIN}f")
            return Cell(f"={formula}", is_value=True) if formula else Cell("")
        if kind == "s":
            return Cell(self._string(value))
        if kind == "b":
            return Cell("TRUE" if value == "1" else "FALSE", is_value=True)
        if kind == "n":
            return Cell(self._formats.shown(value, entry.get("s", "")), is_value=True)
        return Cell(value, is_value=kind in ("e", "d"))

    def _string(self, value: str) -> str:
        number = int(value) if value.strip().isdigit() else -1
        if not 0 <= number < len(self._strings):
            raise self._package.damaged(f"a cell refers to the text {value}, which is not there")
        return self._strings[number]


def _words(item: Any) -> str:
    """The text of a string, its runs joined; how it is pronounced is no part of it."""
    parts: list[str] = []
    for child in item:
        if child.tag not in NOT_IN_TEXT:
            parts.extend(node.text or "" for node in child.iter(f"{MAIN}t"))
    return "".join(parts)


def _merged(sheet: bytes) -> dict[tuple[int, int], tuple[int, int]]:
    """The last row and column of merged cells, by their first."""
    found = {}
    for number, (left, top, right, bottom) in enumerate(MERGED.findall(sheet)):
        if number >= MAX_MERGED:
            break
        found[int(top), _column(left.decode())] = (int(bottom), _column(right.decode()))
    return found


def _column(letters: str) -> int:
    """The number of a column, from 0: A, B … Z, AA."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1
