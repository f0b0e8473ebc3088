"""Which Chinese character does a radical code point stand for.

PDF files printed by browsers map characters to the code points of radicals (U+2F45 for 方), and a
search for the character finds nothing. Full NFKC would also change full-width punctuation, so only
the two radical blocks are replaced.
"""

from __future__ import annotations

import re
import unicodedata

RADICAL = re.compile("[\u2e80-\u2fdf]")
# The Kangxi block has compatibility mappings in Unicode; the supplement has two of them. These are
# the characters of Unicode's EquivalentUnifiedIdeograph.txt for those of the supplement that occur.
SUPPLEMENT = {
    "⺁": "厂", "⺄": "乙", "⺈": "刀", "⺌": "小", "⺍": "小", "⺓": "幺", "⺕": "彐", "⺖": "忄", "⺗": "心",
    "⺘": "扌", "⺙": "攵", "⺝": "月", "⺟": "母", "⺠": "民", "⺡": "氵", "⺣": "灬", "⺩": "王", "⺬": "示",
    "⺭": "礻", "⺮": "竹", "⺯": "糹", "⺰": "纟", "⺱": "罓", "⺶": "羊", "⺷": "羊", "⺸": "羊", "⺻": "聿",
    "⺼": "月", "⺽": "臼", "⺾": "艹", "⺿": "艹", "⻀": "艹", "⻁": "虎", "⻂": "衤", "⻃": "覀", "⻄": "西",
    "⻅": "见", "⻆": "角", "⻇": "角", "⻈": "讠", "⻉": "贝", "⻊": "足", "⻋": "车", "⻌": "辶", "⻍": "辶",
    "⻎": "辶", "⻏": "阝", "⻐": "钅", "⻑": "長", "⻒": "镸", "⻓": "长", "⻔": "门", "⻖": "阝", "⻗": "雨",
    "⻘": "青", "⻙": "韦", "⻚": "页", "⻛": "风", "⻜": "飞", "⻝": "食", "⻞": "飠", "⻟": "飠", "⻠": "饣",
    "⻢": "马", "⻣": "骨", "⻤": "鬼", "⻥": "鱼", "⻦": "鸟", "⻧": "卤", "⻨": "麦", "⻩": "黄", "⻫": "斉",
    "⻬": "齐", "⻭": "歯", "⻮": "齿", "⻯": "竜", "⻰": "龙", "⻲": "亀", "⻳": "龟",
}  # fmt: skip


def without_radicals(text: str) -> str:
    """The text with radical code points replaced by the characters they stand for; its length is the same."""
    return text if text.isascii() else RADICAL.sub(_character, text)


def _character(match: re.Match[str]) -> str:
    radical = match.group()
    return SUPPLEMENT.get(radical) or unicodedata.normalize("NFKC", radical)
