"""Which text do these bytes spell: the encoding is told by marks, then by what makes sense."""

from __future__ import annotations

import codecs
import re

from .base import Unreadable

SAMPLE_BYTES = 64 << 10
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
EAST_ASIAN = ("gb18030", "big5", "shift_jis", "euc_jp", "euc_kr")
# The most frequent characters of Chinese text, simplified and traditional. Wrongly decoded bytes
# give valid but rare characters, so the share of these tells GBK, Big5 and Latin-1 apart.
FREQUENT = set(
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去"
    "法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关"
    "点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先海通"
    "教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期"
    "市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边"
    "死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运笔知识检索文档系统使用数据方法"
    "這個們來為國說時會對於著過發後裡種經麼學現當沒動還進樣開從實軍無與長機關點業將兩間問並應戰頭體見產給門東聲員論處義幾認條氣題爾"
    "別變總電報結務場計資許統區隊決馬書則聽達強難權設類據邊張該規萬覺術領確傳師觀讓識帶導爭運檔"
)
CYRILLIC_AND_GREEK = frozenset(
    {"cp1251", "koi8_r", "koi8_u", "iso8859_5", "mac_cyrillic", "cp866", "cp1253", "iso8859_7", "cp1255", "cp1256"}
)
KANA = re.compile("[\u3040-\u30ff]")
HANGUL = re.compile("[\uac00-\ud7a3]")
CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
MAX_CONTROL_SHARE = 0.005


def decode(raw: bytes) -> str:
    """The text of bytes, with line ends as one newline.

    Raises:
        Unreadable: they are no text.
    """
    text = raw.decode(encoding_of(raw), errors="replace")
    sample = text[:SAMPLE_BYTES]
    if len(CONTROL.findall(sample)) > MAX_CONTROL_SHARE * len(sample):
        raise Unreadable(
            "the file is not text and of no known type", help="convert it to PDF, DOCX, HTML or plain text"
        )
    return CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def encoding_of(raw: bytes) -> str:
    """Name of the encoding of a text's bytes."""
    for mark, encoding in MARKS:
        if raw.startswith(mark):
            return encoding
    if wide := _utf16(raw[:SAMPLE_BYTES]):
        return wide
    if _is_utf8(raw):
        return "utf-8"
    return _guess(_telling(raw))


def _utf16(sample: bytes) -> str:
    """UTF-16 without a mark: every other byte of Latin text is zero."""
    half = max(1, len(sample) // 2)
    if sample[1::2].count(0) > 0.4 * half and sample[::2].count(0) < 0.1 * half:
        return "utf-16-le"
    if sample[::2].count(0) > 0.4 * half and sample[1::2].count(0) < 0.1 * half:
        return "utf-16-be"
    return ""


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        # One damaged place in a long text does not make it another encoding, nor does a cut in its last character.
        is_minor = error.start > SAMPLE_BYTES or (error.end == len(raw) and error.reason == "unexpected end of data")
        return is_minor and BEYOND_ASCII.search(raw, 0, error.start) is not None
    return True


def _telling(raw: bytes) -> bytes:
    """The part of the bytes that begins at a line with something other than ASCII."""
    first = BEYOND_ASCII.search(raw)
    start = raw.rfind(b"\n", 0, first.start()) + 1 if first else 0
    sample = raw[start : start + SAMPLE_BYTES]
    end = sample.rfind(b"\n") if len(sample) == SAMPLE_BYTES else len(sample)
    return sample[:end] if end > 0 else sample


def _guess(sample: bytes) -> str:
    scores = {encoding: _sense(sample, encoding) for encoding in EAST_ASIAN}
    best = max(scores, key=lambda encoding: scores[encoding])
    return best if scores[best] >= 0.3 else _western(sample)


def _sense(sample: bytes, encoding: str) -> float:
    """Share of the characters beyond ASCII that people use often; 0 when the bytes are invalid."""
    text = sample.decode(encoding, errors="replace")
    if text.count("\ufffd") > 0.01 * len(text):
        return 0.0
    beyond = [c for c in text if c > "\x7f"]
    if not beyond:
        return 0.0
    script = {"shift_jis": KANA, "euc_jp": KANA, "euc_kr": HANGUL}.get(encoding)
    num_common = (
        len(script.findall(text)) if script else sum(c in FREQUENT or c in "，。、；：？！（）《》“”" for c in beyond)
    )
    return num_common / len(beyond)


def _western(sample: bytes) -> str:
    """What the letters suggest: Cyrillic, Greek and the like, or Latin."""
    import charset_normalizer

    is_latin = sum(byte > 0x7F for byte in sample) < 0.2 * len(sample)
    matches = list(charset_normalizer.from_bytes(sample))
    if is_latin and all(match.encoding not in CYRILLIC_AND_GREEK for match in matches[:1]):
        # The code pages of Europe differ in a few letters only; the western one is the common one.
        return "cp1252"
    return str(matches[0].encoding) if matches else "latin-1"
