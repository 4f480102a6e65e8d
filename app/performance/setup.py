"""How long a run only waited for its compute: apart from its run time, as clusters start at their own pace. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class TaskTimes:
    """The newest try of a task. seconds: of its execution alone; what lies before is the setup of its compute."""

    start: datetime
    end: datetime
    seconds: float
    pipeline_id: str | None = None


@dataclass(frozen=True)
class StartUp:
    """An update of a run from its request until its first table began: the start of the pipeline's compute."""

    pipeline_id: str
    requested: datetime
    first_table: datetime


def setup_seconds(tasks: Sequence[TaskTimes], start_ups: Iterable[StartUp]) -> float:
    """The time in which the compute of a task or pipeline was set up and no task executed, in seconds.

    A task that runs a pipeline does not execute while the pipeline's compute starts.
    """
    waits: dict[str, list[Span]] = {}
    for s in start_ups:
        waits.setdefault(s.pipeline_id, []).append((s.requested, s.first_table))
    setups: list[Span] = [span for spans in waits.values() for span in spans]
    executing: list[Span] = []
    for t in tasks:
        began = max(t.start, t.end - timedelta(seconds=t.seconds))
        setups.append((t.start, began))
        executing += _without([(began, t.end)], waits.get(t.pipeline_id or "", ()))
    left = _without(_merged(setups), executing)
    return sum((end - start).total_seconds() for start, end in left)


def _merged(spans: Iterable[Span]) -> list[Span]:
    """The same time as spans that do not overlap, in order."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if end <= start:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def _without(spans: Iterable[Span], others: Iterable[Span]) -> list[Span]:
    """What of `spans` lies in none of `others`."""
    left = list(spans)
    for a, b in _merged(others):
        cut: list[Span] = []
        for start, end in left:
            cut += [(s, e) for s, e in ((start, min(end, a)), (max(start, b), end)) if s < e]
        left = cut
    return left
