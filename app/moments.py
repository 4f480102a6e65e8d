"""Times inside sentences: kept as ISO 8601 in UTC, shown in the reader's zone.

A sentence is made once (by a rule, an operation, a refusal) and read in many places: pages in the zone that the reader
chose, the command line in its own, JSON and the audit log as it is.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo

_TIME = re.compile(r"(?<![\w:.+-])\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?Z(?![\w:])", re.ASCII)


def when(moment: datetime | None, *, seconds: bool = False) -> str:
    """A time for a sentence, as `2026-11-23T10:55Z`; `an unknown time` for None. seconds: to the second."""
    if moment is None:
        return "an unknown time"
    return f"{moment.astimezone(UTC).replace(tzinfo=None):%Y-%m-%dT%H:%M{':%S' if seconds else ''}}Z"


def in_zone(text: str, zone: tzinfo) -> str:
    """The sentence with each time of `when` in `zone`, as `2026-11-23 05:55 EST`. All else stays as it is."""

    def local(found: re.Match[str]) -> str:
        try:
            moment = datetime.fromisoformat(found[0])
            return moment.astimezone(zone).strftime(f"%Y-%m-%d %H:%M{':%S' if found[1] else ''} %Z")
        except (ValueError, OverflowError):
            return found[0]

    return _TIME.sub(local, text)
