"""Is there memory for a model, asked before it is loaded."""

from __future__ import annotations

from clients.config import Model
from clients.errors import TooLarge

OPTION = "check_memory"


def check_room(settings: Model, needed: int, available: int, *, beside: str = "", freed: int = 0) -> None:
    """Refuse a model that would not fit.

    Args:
        settings: the model; ``check_memory: false`` among its options loads it whatever this finds.
        needed: bytes while it is loaded, by estimate; 0 if unknown.
        available: bytes that can be had; 0 if unknown.
        beside: name of the model that stays loaded meanwhile.
        freed: bytes of a model that is let go before.

    Raises:
        TooLarge: with what is needed, what there is, and what to do.
    """
    if not needed or not available or settings.options.get(OPTION) is False or needed <= available + freed:
        return
    meanwhile = f" while '{beside}' stays loaded" if beside else ""
    raise TooLarge(
        f"'{settings.name}' needs about {_gigabytes(needed)} of memory to load, "
        f"and {_gigabytes(available + freed)} can be had{meanwhile}",
        help=_cure(settings, beside),
    )


def _cure(settings: Model, beside: str) -> str:
    cures = ["a smaller model", "another host"]
    if settings.dtype != "int8":
        cures.insert(0, "dtype int8")
    if beside:
        cures.insert(0, "release_first, which lets go of the other one before")
    return f"use {', '.join(cures[:-1])} or {cures[-1]}; the option {OPTION}: false loads it all the same"


def _gigabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.2f} GB"
