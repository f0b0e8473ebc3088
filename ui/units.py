"""How are bytes, seconds and moments written for people."""

from __future__ import annotations

from datetime import datetime, tzinfo


def size(num_bytes: int) -> str:
    """Bytes with a unit: ``1.4 MB``."""
    value = float(num_bytes)
    for unit in ("B", "KB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def clock(seconds: float) -> str:
    """A length of time: ``00:12``, ``1:02:03``."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{secs:02}" if hours else f"{minutes:02}:{secs:02}"


def took(seconds: float) -> str:
    """A short time: ``38 ms``, ``1.9 s``."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def day(moment: float, zone: tzinfo | None = None) -> str:
    """Seconds since 1970 as a date and time in the zone; empty for 0."""
    return datetime.fromtimestamp(moment, zone).astimezone(zone).strftime("%Y-%m-%d %H:%M") if moment else ""
