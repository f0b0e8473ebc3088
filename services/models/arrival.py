"""How do the files of a model become one on the shelf: what is needed is taken, converted, described, hashed."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Literal

from .bundle import BUNDLE
from .card import Card
from .chat_gguf import convert as convert_chat
from .files import PICKLED, WEIGHTS, needed, stated_licence, weight_files
from .gguf import check_splitting, read_header
from .gguf_repack import repack
from .manifest import REPACKED
from .pickled import convert as convert_pickled

How = Literal["copy", "link", "move"]
ChatDtype = Literal["int8", "fp16", "none"]


def take(path: Path, whole: Path, *, how: How = "copy") -> None:
    """Take what is needed of a model's files."""
    if path.is_file():
        _place_file(path, whole / path.name, how)
        return
    present = [str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()]
    for name in present if BUNDLE in present else needed(present):
        if Path(name).name in PICKLED:
            convert_pickled(path / name, whole / WEIGHTS)
        else:
            (whole / name).parent.mkdir(exist_ok=True)
            _place_file(path / name, whole / name, how)


def finish(whole: Path, card: Card, dtype: ChatDtype) -> Card:
    """The card, written, of a model whose files are there; a chat model in safetensors becomes GGUF too."""
    if "generate" in card.roles and card.kind == "decoder" and dtype != "none":
        convert_chat(whole, card.weights, whole / REPACKED, dtype)
        card = replace(card, gguf=REPACKED)
    card = replace(
        card, licence=card.licence or stated_licence(whole), revision=card.revision or _revision(whole, card)
    )
    card.write(whole)
    return card


def _revision(whole: Path, card: Card) -> str:
    """The first digits of the hash over every weight file, the converted one among them."""
    digest = hashlib.sha256()
    for name in [*weight_files(whole, card.weights), *filter(None, [card.gguf])]:
        with (whole / name).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def _place_file(file: Path, target: Path, how: How) -> None:
    if file.suffix == ".gguf" and _is_misread(file):
        repack(file, target)
    elif how == "link":
        target.symlink_to(file)
    elif how == "move":
        file.replace(target)
    else:
        shutil.copyfile(file, target)


def _is_misread(file: Path) -> bool:
    """Whether a GGUF file has to be repacked; BadRequest when that would not help."""
    header = read_header(file)
    check_splitting(file, header)
    return bool(header.unreadable)
