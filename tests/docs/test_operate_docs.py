"""docs/operate.md against the code: every metric with its kind, labels and meaning.

``python tests/docs/test_operate_docs.py`` writes the table into the page.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "operate.md"
TABLE = re.compile(r"(?<=\| metric \| kind \| labels \| meaning \|\n\|---\|---\|---\|---\|\n)((?:\|.*\n)*)")
if __name__ == "__main__":
    sys.path.insert(0, str(PAGE.parents[1]))

from proxies.metrics import families, names  # noqa: E402 - the path comes first when this file is run as a program
from tests.unit.http.test_metrics import mesh  # noqa: E402


def table() -> str:
    rows = []
    for family in families(mesh()):
        labels = dict.fromkeys(label for sample in family.samples for label in sample.labels if label != "le")
        rows.append(f"| `{family.name}` | {family.kind} | {', '.join(labels)} | {family.words} |\n")
    return "".join(rows)


def test_every_metric_is_on_the_page_as_it_is() -> None:
    match = TABLE.search(PAGE.read_text(encoding="utf-8"))
    assert match
    assert match[1] == table(), "run: python tests/docs/test_operate_docs.py"


def test_the_table_leaves_none_out() -> None:
    assert [family.name for family in families(mesh())] == names()
    assert all(family.samples for family in families(mesh()))


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(TABLE.sub(lambda _: table(), page), encoding="utf-8")
