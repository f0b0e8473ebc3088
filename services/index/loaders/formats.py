"""How does a spreadsheet show a number: as a date, a share, an amount, with so many places."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
# ECMA-376 part 1, 18.8.30: formats that have numbers only; the others of the table are general.
BUILT_IN = {
    1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 14: "yyyy-mm-dd", 15: "d-mmm-yy", 16: "d-mmm",
    17: "mmm-yy", 18: "h:mm", 19: "h:mm:ss", 20: "h:mm", 21: "h:mm:ss", 22: "yyyy-mm-dd h:mm", 37: "#,##0",
    38: "#,##0", 39: "#,##0.00", 40: "#,##0.00", 45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss",
    **dict.fromkeys((27, 28, 29, 30, 31, 36, 50, 51, 52, 53, 54, 57, 58), "yyyy-mm-dd"),
    **dict.fromkeys((32, 33, 34, 35, 55, 56), "h:mm:ss"),
}  # fmt: skip
LITERAL = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?![hms]+\])[^\]]*\]', re.IGNORECASE)
CURRENCY = re.compile(r"(?:\[\$)?([€£¥₹₩₽]|CHF|USD|EUR|RMB|\$)")
DAY_S = 86_400
# Excel takes 1900 for a leap year, so its day 60 never was; days before it count from one day later.
FALSE_LEAP_DAY = 60
LAST_DAY = 2_958_465


class Formats:
    """The number formats of a workbook.

    Args:
        styles: the root of its styles; None when it has none.
        is_1904: whether its days count from 1904, as on old Macs.
    """

    def __init__(self, styles: Any, *, is_1904: bool = False) -> None:
        self._by_style = [] if styles is None else _by_style(styles)
        self._is_1904 = is_1904

    def shown(self, value: str, style: str) -> str:
        """A cell's number as people read it; digits are not grouped, so that they can be searched for.

        Args:
            value: as stored: ``45000.5``.
            style: the number of the cell's style; may be empty.
        """
        try:
            number = float(value)
        except ValueError:
            return value
        known = style.isdigit() and int(style) < len(self._by_style)
        format_ = self._by_style[int(style)] if known else ""
        bare = LITERAL.sub("", format_.split(";")[0])
        if re.search("[ymdhs]", bare, re.IGNORECASE) and "general" not in bare.lower():
            return self._time(number, bare.lower()) or _digits(number, "")
        if "%" in bare:
            return _digits(number * 100, bare) + "%"
        sign = CURRENCY.search(format_)
        return (sign[1] if sign else "") + _digits(number, bare)

    def _time(self, number: float, format_: str) -> str:
        """ISO date and time as far as the format shows them; empty for a number that is no day."""
        has_day = re.search("[yd]", format_) is not None or ("m" in format_ and not re.search("[hs]", format_))
        if not 0 <= number <= LAST_DAY:
            return ""
        if not has_day:
            return _clock(round(number * DAY_S), format_)
        moment = self._epoch(number) + timedelta(seconds=round(number * DAY_S))
        return moment.strftime("%Y-%m-%d %H:%M" if "h" in format_ else "%Y-%m-%d")

    def _epoch(self, number: float) -> datetime:
        if self._is_1904:
            return datetime(1904, 1, 1)  # noqa: DTZ001 - a sheet's dates have no zone
        return datetime(1899, 12, 31 if number < FALSE_LEAP_DAY else 30)  # noqa: DTZ001


def _by_style(styles: Any) -> list[str]:
    """The format of each cell style."""
    own = {entry.get("numFmtId"): entry.get("formatCode", "") for entry in styles.iter(f"{MAIN}numFmt")}
    cells = styles.find(f"{MAIN}cellXfs")
    ids = [entry.get("numFmtId", "0") for entry in (cells if cells is not None else ())]
    return [own.get(id_) or BUILT_IN.get(int(id_) if id_.isdigit() else 0, "") for id_ in ids]


def _clock(seconds: int, format_: str) -> str:
    hours, rest = divmod(seconds, 3600)
    if "[" not in format_:
        hours %= 24
    return f"{hours:02d}:{rest // 60:02d}" + (f":{rest % 60:02d}" if "s" in format_ else "")


def _digits(number: float, format_: str) -> str:
    """The number with the format's places; without a format as few digits as tell it."""
    if not re.search("[0#?]", format_) or "e+" in format_.lower() or "/" in format_:
        return f"{number:.15g}" if abs(number) < 1e15 else f"{number:.17g}"
    return f"{number:.{len(places[1]) if (places := re.search(r'[.]([0#?]+)', format_)) else 0}f}"
