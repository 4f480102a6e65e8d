"""Durations in words, one way everywhere: `20 s`, `1.5 min`, `6 h`, `9 days`; measurements to the second."""

from __future__ import annotations

from datetime import timedelta
from math import inf

_UNITS = (("s", 1.0, 60.0), ("min", 60.0, 60.0), ("h", 3600.0, 48.0), ("days", 86400.0, inf))
"""Unit, its seconds, and the amount from which the next one is said: 30 h are not 1.3 days."""


def duration(value: float | timedelta, digits: int = 1) -> str:
    """A duration in its largest unit, with at most so many digits after the point. value: a timedelta, or seconds."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if seconds < 0:
        return "−" + duration(-seconds, digits)
    # As it is rounded: 59.7 s without digits are 1 min.
    unit, amount = next((u, a) for u, size, end in _UNITS if (a := round(seconds / size, digits)) < end)
    return f"{amount:.{digits}f}".removesuffix("." + "0" * digits) + f" {unit}"


def measured(seconds: float) -> str:
    """A measured duration: `0.42 s`, `37.5 s`, `12 min 07 s`, `2 h 05 min`."""
    if seconds < 0:
        return "−" + measured(-seconds)
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60:02d} min"
