"""What lies in an Office file: a zip archive of XML, opened within limits."""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from .base import Unreadable

MAX_UNPACKED_BYTES = 1 << 30
MAX_RATIO = 200
FREE_BYTES = 16 << 20
DOCTYPE_BYTES = 4096
RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
AGAIN = "open it in an editor and save it again"


class Package:
    """The members of an Office file.

    Args:
        raw: the file.
        what: what to call it in a refusal: ``the workbook``.

    Raises:
        Unreadable: damaged, or it would unpack to more than a document can be.
    """

    def __init__(self, raw: bytes, what: str) -> None:
        self._what = what
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(raw))
        except (zipfile.BadZipFile, ValueError) as error:
            raise self.damaged(str(error)) from error
        self._check_size(len(raw))

    def _check_size(self, packed: int) -> None:
        unpacked = sum(entry.file_size for entry in self._archive.infolist())
        if unpacked > MAX_UNPACKED_BYTES or unpacked > MAX_RATIO * packed + FREE_BYTES:
            raise Unreadable(
                f"{self._what} would unpack to {unpacked >> 20} MB from {packed >> 10} KB, which no text does",
                help=AGAIN,
            )

    def damaged(self, why: str) -> Unreadable:
        """The refusal of a damaged file."""
        return Unreadable(f"{self._what} is damaged: {why}", help=AGAIN)

    def has(self, name: str) -> bool:
        """Whether there is such a member."""
        return name in self._archive.NameToInfo

    def read(self, name: str) -> bytes:
        """A member's bytes; no more of them than the archive's list says, whatever is packed."""
        try:
            info = self._archive.getinfo(name)
            with self._archive.open(info) as member:
                return member.read(info.file_size)
        except (
            KeyError,
            RuntimeError,
            NotImplementedError,
            zipfile.BadZipFile,
            EOFError,
            OSError,
            zlib.error,
        ) as error:
            raise self.damaged(f"{name}: {error}") from error

    def tree(self, name: str) -> Any:
        """A member as XML; entities are left alone, for they are how a small file becomes a large text."""
        from lxml import etree

        try:
            return etree.fromstring(self._plain(name), parser=_parser())
        except etree.XMLSyntaxError as error:
            raise self.damaged(f"{name}: {error}") from error

    def elements(self, name: str, tag: str) -> Iterator[Any]:
        """The elements of a member with this tag, one at a time; each is forgotten after its turn."""
        from lxml import etree

        events = etree.iterparse(
            io.BytesIO(self._plain(name)), tag=tag, resolve_entities=False, no_network=True, load_dtd=False
        )
        try:
            for _, element in events:
                yield element
                element.clear()
                while element.getprevious() is not None:
                    del element.getparent()[0]
        except etree.XMLSyntaxError as error:
            raise self.damaged(f"{name}: {error}") from error

    def _plain(self, name: str) -> bytes:
        raw = self.read(name)
        if re.search(rb"<!DOCTYPE|<!ENTITY", raw[:DOCTYPE_BYTES]):
            raise Unreadable(f"{self._what} declares entities, which no Office program writes", help=AGAIN)
        return raw

    def relations(self, name: str) -> dict[str, tuple[str, str]]:
        """Where a member's relations lead: kind and member by id; those that leave the file are not among them."""
        folder, base = posixpath.split(name)
        at = posixpath.join(folder, "_rels", f"{base}.rels")
        if not self.has(at):
            return {}
        found = {}
        for entry in self.tree(at):
            if entry.get("TargetMode") == "External" or not entry.get("Target"):
                continue
            target = posixpath.normpath(posixpath.join("/", folder, entry.get("Target"))).lstrip("/")
            found[entry.get("Id", "")] = (entry.get("Type", "").rpartition("/")[2], target)
        return found


def _parser() -> Any:
    from lxml import etree

    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
