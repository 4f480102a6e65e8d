"""How long a run only waited for its compute: apart from its run time, as clusters start at their own pace."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from app.store.collected.records import UpdateRecord

if TYPE_CHECKING:
    from app.store.collected.repository import CollectedRepository

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

    Pure. A task that runs a pipeline does not execute while the pipeline's compute starts.
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


def setups_of(
    collected: CollectedRepository, run_ids: Collection[int], updates: Iterable[UpdateRecord]
) -> dict[int, float]:
    """Setup of each run, in seconds; without those whose tasks or updates do not show it. updates: of these runs.

    Raises StoreError.
    """
    if not run_ids:
        return {}
    wanted = set(run_ids)
    of_run: dict[int, list[UpdateRecord]] = {}
    for u in updates:
        if u.job_run_id in wanted and not u.validate_only:
            of_run.setdefault(u.job_run_id, []).append(u)
    first_tables = collected.first_tables([u.update_id for started in of_run.values() for u in started])
    found = {}
    for run_id, times in collected.task_times(run_ids).items():
        started = of_run.get(run_id, ())
        starts = [(u.pipeline_id, u.start_time, first_tables.get(u.update_id)) for u in started]
        tasks = [TaskTimes(start, end, seconds, pipeline) for start, end, seconds, pipeline in times]
        known = [StartUp(p, requested, first) for p, requested, first in starts if first is not None]
        if len(known) == len(starts):
            found[run_id] = setup_seconds(tasks, known)
    return found


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
