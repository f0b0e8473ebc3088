"""What every group of the Index service's handlers works with."""

from __future__ import annotations

from clients.config import Config
from services.index.catalog import Catalog
from services.index.parts import Parts


class Handlers:
    """Base of a group of handlers; IndexService is made of such groups.

    Attributes:
        config: where the data lives, and the limits.
    """

    config: Config
    _parts: Parts

    @property
    def _catalog(self) -> Catalog:
        return self._parts.catalog
