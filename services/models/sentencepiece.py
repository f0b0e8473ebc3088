"""How is a SentencePiece Unigram vocabulary of XLM-R written as a ``tokenizer.json``."""

from __future__ import annotations

from collections.abc import Sequence

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


def tokenizer_spec(pieces: Sequence[str], scores: Sequence[float], unknown: int) -> dict[str, object]:
    """The file as plain values.

    Args:
        pieces: in the order of their ids, the special ones among them.
        scores: log probability of each.
        unknown: id of the piece for unknown characters.
    """
    return {
        "version": "1.0",
        "added_tokens": [_added(pieces.index(token), token) for token in SPECIAL],
        "normalizer": _normalizer(),
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "WhitespaceSplit"},
                {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
            ],
        },
        "post_processor": _template(pieces),
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        "model": {
            "type": "Unigram",
            "unk_id": unknown,
            "vocab": [list(pair) for pair in zip(pieces, scores, strict=True)],
            "byte_fallback": False,
        },
    }


def _normalizer() -> dict[str, object]:
    """NFKC as SentencePiece trained it: no control characters, odd spaces as spaces, the wide tilde kept."""
    spared = "\uf8ff"
    # The characters themselves stand in the classes: every regex engine reads those alike.
    controls = "[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]"
    spaces = "[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]"
    rules: list[dict[str, object]] = [
        {"pattern": {"Regex": controls}, "content": ""},
        {"pattern": {"Regex": spaces}, "content": " "},
        {"pattern": {"String": "\uff5e"}, "content": spared},
        {"type": "NFKC"},
        {"pattern": {"String": spared}, "content": "\uff5e"},
    ]
    return {"type": "Sequence", "normalizers": [{"type": "Replace"} | rule for rule in rules]}


def _template(pieces: Sequence[str]) -> dict[str, object]:
    begin, end = ({"SpecialToken": {"id": token, "type_id": 0}} for token in ("<s>", "</s>"))
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in ("A", "B"))
    return {
        "type": "TemplateProcessing",
        "single": [begin, first, end],
        "pair": [begin, first, end, end, second, end],
        "special_tokens": {t: {"id": t, "ids": [pieces.index(t)], "tokens": [t]} for t in ("<s>", "</s>")},
    }


def _added(number: int, token: str) -> dict[str, object]:
    return {
        "id": number,
        "content": token,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }
