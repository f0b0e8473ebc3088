"""What pins a model that can be pulled: its files and the sources that have them.

Every hash pins content, not a place: a source may vanish or be replaced, and what is loaded stays
the same. Packages are opened as archives and only the named members are taken out of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from .card import Card


@dataclass(frozen=True, slots=True)
class Content:
    """A file of a model, pinned: what it is called on the shelf, its sha256 and its size."""

    name: str
    sha256: str
    num_bytes: int


@dataclass(frozen=True, slots=True)
class Wheel:
    """A pinned wheel in a package index; ``python`` is one that it says to be made for."""

    package: str
    version: str
    sha256: str
    num_bytes: int
    python: str = "3.12"

    def __str__(self) -> str:
        return f"the package {self.package}=={self.version}"


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside a wheel and the content that it is, or that it is the next piece of."""

    wheel: Wheel
    path: str
    content: str


@dataclass(frozen=True, slots=True)
class Packages:
    """Contents that lie in wheels."""

    members: tuple[Member, ...]
    contents: tuple[Content, ...]
    converter: str = ""

    @property
    def wheels(self) -> tuple[Wheel, ...]:
        """The wheels, each once, in order."""
        return tuple(dict.fromkeys(member.wheel for member in self.members))

    @property
    def download_bytes(self) -> int:
        """What has to be downloaded."""
        return sum(wheel.num_bytes for wheel in self.wheels)

    def __str__(self) -> str:
        first, *rest = self.wheels
        return f"{first} and {len(rest)} more" if rest else str(first)


@dataclass(frozen=True, slots=True)
class Hub:
    """Contents that lie in a repository of a model hub, at one revision."""

    repository: str
    revision: str
    contents: tuple[Content, ...]
    converter: str = ""

    @property
    def download_bytes(self) -> int:
        """What has to be downloaded."""
        return sum(content.num_bytes for content in self.contents)

    def __str__(self) -> str:
        return f"the hub repository {self.repository}"


Source = Packages | Hub

REPACKED = "model.gguf"


@dataclass(frozen=True, slots=True)
class Pullable:
    """A model that ``ragq models pull`` knows.

    Attributes:
        sources: tried in order.
        summary: one line for people.
    """

    card: Card
    sources: tuple[Source, ...]
    summary: str = ""

    @property
    def name(self) -> str:
        """Its name on the shelf."""
        return self.card.name
