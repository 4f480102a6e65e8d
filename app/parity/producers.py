"""Producers: the run and the update that last may have written the sides, and what contradicts that pair."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from app.durations import duration
from app.moments import when
from app.parity.spec import FAR_APART_SECONDS
from app.store.collected.records import JobRunRecord, UpdateRecord
from app.store.collected.repository import CollectedRepository
from app.store.parity_records import OtherWrite, Producer
from databricks_client.client import Workspace
from databricks_client.job_runs import JobRun
from validation.report import TableWrite

Pair = tuple[Producer | None, Producer | None]
"""Of the old and of the new side; None where nothing is known to have written it."""

SIDES = ("old", "new")

_LIMIT = 50

_PREFIX = {"run": "job run ", "update": "update "}
"""How the state of a table names its producer (`validation.report.SideState.produced_by`), before the id."""


@dataclass(frozen=True)
class AtWork:
    """When one side was written, as far as it was collected. spans: start and end of each run or update, successful or
    not; no end where it is at work or none is known. job_id: the old job's; None of the new side.
    """

    spans: tuple[tuple[datetime, datetime | None], ...] = ()
    job_id: int | None = None

    def covers(self, moment: datetime) -> bool:
        """Whether a run or an update was at work then, or it lies before all that was collected."""
        since = min((start for start, _ in self.spans), default=None)
        within = any(start <= moment and (end is None or moment <= end) for start, end in self.spans)
        return since is None or moment < since or within


class _Write(NamedTuple):
    """A run or an update in the order in which they may have written: what is active may write yet."""

    active: bool
    at: datetime
    producer: Producer


class Producers:
    """The newest producer of each side, successful or not. Generated runs and updates produced nothing."""

    def __init__(self, collected: CollectedRepository, workspace: Workspace) -> None:
        self._collected = collected
        self._workspace = workspace

    def collected(self, sides: str) -> Pair:
        """As collected, which may be some seconds old. Raises StoreError."""
        runs, updates = self._known(sides)
        return _newest(filter(None, map(_by_run, runs))), _newest(map(_by_update, updates))

    def now(self, sides: str) -> Pair:
        """As the workspace has it now, for jobs and pipelines that were collected. Raises StoreError, WorkspaceError.

        When an update ended and which run started it is known only once that was collected.
        """
        runs, updates = self._known(sides)
        writes: dict[int, _Write | None] = {r.run_id: _by_run(r) for r in runs}
        if runs:
            job_id, since = runs[0].job_id, min([runs[0].start_time, *(r.start_time for r in runs if r.active)])
            # A run that was repaired is at work though it began, and had ended, before others.
            found = [*self._workspace.jobs.runs(job_id, start_from=since), *self._workspace.jobs.active_runs(job_id)]
            writes.update((r.run_id, _by_run(r)) for r in found)
        new = _newest(map(_by_update, updates))
        if updates and (last := self._workspace.pipelines.last_write(updates[0].pipeline_id)) and not last.generated:
            known = next((u for u in updates if u.update_id == last.update_id), None)
            run, end = (None, None) if known is None else (known.job_run_id, known.end_time)
            new = Producer("update", last.update_id, run, end, last.state, last.created)
        return _newest(filter(None, writes.values())), new

    def at_work(self, sides: str) -> tuple[AtWork, AtWork]:
        """When the old and the new side were written, as far as it was collected. Raises StoreError."""
        runs, updates = self._known(sides)
        return (
            AtWork(tuple((r.start_time, r.end_time) for r in runs), runs[0].job_id if runs else None),
            AtWork(tuple((u.start_time, u.end_time) for u in updates)),
        )

    def _known(self, sides: str) -> tuple[list[JobRunRecord], list[UpdateRecord]]:
        """Runs and updates that are real, newest start first."""
        runs = [r for r in self._collected.runs("baseline", limit=_LIMIT) if not r.generated]
        updates = [u for u in self._collected.updates(sides, limit=_LIMIT) if not u.generated and not u.validate_only]
        return runs, updates


def same(one: Pair, other: Pair) -> bool:
    """Whether the sides hold what they held: the same run and update, no further than they were."""
    return [p and (p.kind, p.id, p.state) for p in one] == [p and (p.kind, p.id, p.state) for p in other]


def far_apart(baseline: Producer | None, candidate: Producer | None) -> str | None:
    """A warning where what produced the sides is unknown or lies far apart."""
    if baseline is None or candidate is None:
        side = "old" if baseline is None else "new"
        return f"it is not known what produced the {side} side: no run of it was collected"
    if baseline.ended_at is None or candidate.ended_at is None:
        return None
    apart = abs((baseline.ended_at - candidate.ended_at).total_seconds())
    if apart <= FAR_APART_SECONDS:
        return None
    older = "old" if baseline.ended_at < candidate.ended_at else "new"
    return (
        f"the sides were written {duration(apart)} apart (the {older} side first): "
        "rows that changed in between differ for that reason alone"
    )


def doubts(before: Pair, after: Pair) -> list[str]:
    """Why the tables may hold rows of another producer than `before`; after: the producers once they were compared."""
    found = []
    for side, p, q in zip(SIDES, before, after, strict=True):
        if p is not None and not p.succeeded:
            found.append(
                f"the newest {p.kind} that may have written the {side} side, {p.id}, is {p.state}: "
                "which tables hold its rows is not known"
            )
        elif not same((p, None), (q, None)):
            what = f"{q.kind} {q.id}, {q.state}," if q is not None else "something else"
            found.append(f"{what} may have written the {side} side while tables were compared")
    return found


def contradictions(reports: Mapping[str, Mapping[str, Any]], pair: Pair) -> list[str]:
    """Where tables themselves (reports: table to `ParityReport.to_dict`) say that another than the pair wrote them.

    The history of a table may name a task's run, or one that a notebook began, and the newest run of a job need not
    rewrite every table: of runs only one that wrote after the end of the old side's counts. Tables whose history names
    their last write are left to `other_writes`.
    """
    found = []
    for side, key, p in zip(SIDES, ("baseline", "candidate"), pair, strict=True):
        others: dict[str, list[str]] = {}
        for table, report in reports.items():
            state = report.get(key) or {}
            writer = str(state.get("produced_by") or "")
            if state.get("written") and writer.startswith(_PREFIX["run"]):
                continue
            if p is not None and writer.startswith(_PREFIX[p.kind]) and writer != _PREFIX[p.kind] + p.id:
                written = state.get("last_write")
                late = written and p.ended_at and datetime.fromisoformat(written) > p.ended_at
                if late or p.kind == "update":
                    others.setdefault(writer, []).append(table)
        found += [f"{writer} wrote {', '.join(tables)} of the {side} side last" for writer, tables in others.items()]
    return found


def with_others(
    reports: Mapping[str, Mapping[str, Any]], pair: Pair, at_work: tuple[AtWork, AtWork]
) -> tuple[Pair, list[str]]:
    """The pair with the tables that something else wrote last, and a sentence for each. reports: as above."""
    found, sentences = [], []
    for side, key, p, work in zip(SIDES, ("baseline", "candidate"), pair, at_work, strict=True):
        others: list[OtherWrite] = []
        for table, report in reports.items():
            written = _written(report.get(key) or {})
            if p is not None and written is not None and written.at is not None and _by_another(written, p, work):
                others.append(OtherWrite(table, written.what, written.at))
        found.append(None if p is None else replace(p, others=tuple(others)))
        sentences += [
            f"{o.table} of the {side} side was last written by {o.what} at {when(o.at, seconds=True)}, "
            f"not by {p.kind} {p.id}"
            for o in others
            if p is not None
        ]
    return (found[0], found[1]), sentences


def _written(side: Mapping[str, Any]) -> TableWrite | None:
    values = side.get("written")
    if values is None:
        return None
    return TableWrite(**{**values, "at": datetime.fromisoformat(values["at"]) if values["at"] else None})


def _by_another(written: TableWrite, producer: Producer, work: AtWork) -> bool:
    """Whether neither `producer` nor an earlier run or update made this write.

    By the job's run where the history names one, else by time. A run need not rewrite every table, so what an earlier
    run wrote is the side's own. While a run is at work, a write that names another job may come from a notebook that
    the run started, which has a job id of its own; but not where it names a job's run, started by something else.
    """
    at = written.at
    if at is None:
        return False
    if producer.kind == "run" and producer.id in (written.job_run_id, written.run_id):
        return False
    if producer.ended_at is not None and at > producer.ended_at:
        return True
    if work.job_id is not None and written.job_id == str(work.job_id):
        return False
    if work.job_id is not None and written.job_run_id is not None and _letters(written.trigger) != "runjobtask":
        return True
    if producer.started_at is not None:
        work = replace(work, spans=(*work.spans, (producer.started_at, producer.ended_at)))
    return not work.covers(at)


def _letters(text: str | None) -> str:
    """`RUN_JOB_TASK` and `runJobTask` are one trigger."""
    return (text or "").replace("_", "").lower()


def _newest(writes: Iterable[_Write]) -> Producer | None:
    newest = max(writes, key=lambda w: (w.active, w.at), default=None)
    return None if newest is None else newest.producer


def _by_run(run: JobRunRecord | JobRun) -> _Write | None:
    """None for a generated run, and for one that was skipped because another one was active."""
    if run.generated or run.life_cycle_state == "SKIPPED":
        return None
    start, end = (run.start_time, run.end_time) if isinstance(run, JobRunRecord) else (run.start, run.end)
    return _Write(run.active, end or start, Producer("run", str(run.run_id), run.run_id, end, run.state, start))


def _by_update(update: UpdateRecord) -> _Write:
    producer = Producer("update", update.update_id, update.job_run_id, update.end_time, update.state, update.start_time)
    return _Write(update.active, update.end_time or update.start_time, producer)
