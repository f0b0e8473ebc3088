"""Small workbooks and presentations, written member by member so that each test says what is in them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from xml.sax.saxutils import escape

SHEETS = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
SHOW = "http://schemas.openxmlformats.org/presentationml/2006/main"
DRAW = "http://schemas.openxmlformats.org/drawingml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
# Style 1 is a date, 2 a date with a time, 3 a share with one place, 4 an amount of euros.
STYLES = f"""<styleSheet xmlns="{SHEETS}"><numFmts><numFmt numFmtId="164" formatCode="yyyy/m/d\\ h:mm"/>
<numFmt numFmtId="165" formatCode="0.0%"/><numFmt numFmtId="166" formatCode="[$€-407]#,##0.00"/></numFmts>
<cellStyleXfs><xf numFmtId="9"/></cellStyleXfs>
<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="165"/><xf numFmtId="166"/></cellXfs>
</styleSheet>"""


def packed(members: Mapping[str, str | bytes]) -> bytes:
    """A zip archive of members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def workbook(sheets: Mapping[str, str], hidden: str = "", strings: tuple[str, ...] = ()) -> bytes:
    """A workbook; a sheet is the XML of its rows, and may go on with the XML of merged cells."""
    entries, relations = [], []
    members: dict[str, str | bytes] = {"xl/styles.xml": STYLES}
    for number, (name, rows) in enumerate(sheets.items(), 1):
        state = ' state="hidden"' if name == hidden else ""
        entries.append(f'<sheet name="{escape(name)}" sheetId="{number}"{state} r:id="r{number}"/>')
        relations.append(f'<Relationship Id="r{number}" Type="{OFFICE}/worksheet" Target="worksheets/s{number}.xml"/>')
        data, _, merged = rows.partition("<mergeCells>")
        merged = f"<mergeCells>{merged}" if merged else ""
        members[f"xl/worksheets/s{number}.xml"] = (
            f'<worksheet xmlns="{SHEETS}"><sheetData>{data}</sheetData>{merged}</worksheet>'
        )
    relations.append(f'<Relationship Id="a" Type="{OFFICE}/styles" Target="styles.xml"/>')
    relations.append(f'<Relationship Id="b" Type="{OFFICE}/sharedStrings" Target="/xl/sharedStrings.xml"/>')
    members["xl/workbook.xml"] = (
        f'<workbook xmlns="{SHEETS}" xmlns:r="{OFFICE}"><sheets>{"".join(entries)}</sheets></workbook>'
    )
    members["xl/_rels/workbook.xml.rels"] = f'<Relationships xmlns="{PACKAGE}">{"".join(relations)}</Relationships>'
    items = "".join(f"<si><t>{escape(text)}</t></si>" for text in strings)
    members["xl/sharedStrings.xml"] = f'<sst xmlns="{SHEETS}">{items}</sst>'
    return packed(members)


def row(number: int, **cells: str | float) -> str:
    """A row; a text that begins with ``<`` is a cell's XML with its attributes left to ``PLACE``."""
    made = []
    for column, value in cells.items():
        place = f'r="{column}{number}"'
        if isinstance(value, str) and value.startswith("<"):
            made.append(value.replace("PLACE", place))
        elif isinstance(value, str):
            made.append(f'<c {place} t="inlineStr"><is><t>{escape(value)}</t></is></c>')
        else:
            made.append(f"<c {place}><v>{value}</v></c>")
    return f'<row r="{number}">{"".join(made)}</row>'


def styled(value: float, style: int) -> str:
    """A number with a style."""
    return f'<c PLACE s="{style}"><v>{value}</v></c>'


def formula(text: str, value: str = "") -> str:
    """A formula with the value that Excel last saw, or none."""
    kept = f"<v>{value}</v>" if value else ""
    return f"<c PLACE><f>{escape(text)}</f>{kept}</c>"


def slides(*shapes: str, hidden: int = 0, notes: Mapping[int, str] | None = None) -> bytes:
    """A presentation; a slide is the XML of its shapes, ``hidden`` the number of one that is not shown."""
    members: dict[str, str | bytes] = {}
    ids, relations = [], []
    for number, inner in enumerate(shapes, 1):
        ids.append(f'<p:sldId id="{255 + number}" r:id="r{number}"/>')
        relations.append(f'<Relationship Id="r{number}" Type="{OFFICE}/slide" Target="slides/s{number}.xml"/>')
        members[f"ppt/slides/s{number}.xml"] = _slide(inner, is_hidden=number == hidden)
        if note := (notes or {}).get(number):
            members[f"ppt/slides/_rels/s{number}.xml.rels"] = (
                f'<Relationships xmlns="{PACKAGE}"><Relationship Id="n" Type="{OFFICE}/notesSlide" '
                f'Target="../notesSlides/n{number}.xml"/></Relationships>'
            )
            members[f"ppt/notesSlides/n{number}.xml"] = _slide(shape(note, "body") + shape("7", "sldNum"))
    members["ppt/presentation.xml"] = (
        f'<p:presentation xmlns:p="{SHOW}" xmlns:r="{OFFICE}"><p:sldIdLst>{"".join(ids)}</p:sldIdLst></p:presentation>'
    )
    members["ppt/_rels/presentation.xml.rels"] = (
        f'<Relationships xmlns="{PACKAGE}">{"".join(relations)}</Relationships>'
    )
    return packed(members)


def _slide(inner: str, *, is_hidden: bool = False) -> str:
    show = ' show="0"' if is_hidden else ""
    return f'<p:sld xmlns:p="{SHOW}" xmlns:a="{DRAW}"{show}><p:cSld><p:spTree>{inner}</p:spTree></p:cSld></p:sld>'


def shape(text: str, role: str = "") -> str:
    """A shape with a paragraph for each line."""
    place = f'<p:ph type="{role}"/>' if role else ""
    lines = "".join(f"<a:p><a:r><a:t>{escape(line)}</a:t></a:r></a:p>" for line in text.split("\n"))
    return f"<p:sp><p:nvSpPr><p:nvPr>{place}</p:nvPr></p:nvSpPr><p:txBody>{lines}</p:txBody></p:sp>"


def table(*rows: tuple[str, ...]) -> str:
    """A table on a slide."""
    made = "".join(
        "<a:tr>"
        + "".join(f"<a:tc><a:txBody><a:p><a:r><a:t>{cell}</a:t></a:r></a:p></a:txBody></a:tc>" for cell in row)
        + "</a:tr>"
        for row in rows
    )
    return (
        f"<p:graphicFrame><a:graphic><a:graphicData><a:tbl>{made}</a:tbl></a:graphicData></a:graphic></p:graphicFrame>"
    )
