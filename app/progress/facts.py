"""The evidence at one time, read from the store once, as input of all rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from app.config.migration import Migration
from app.parity.current_streak import current_streak
from app.parity.streak import Streak
from app.performance.assessment import NOT_ASSESSED, Assessment
from app.performance.load import load_assessment
from app.progress.expectation_counts import Counts, load_counts
from app.store.base import now as current_time
from app.store.checklist import Deviation, Tick
from app.store.collected.records import (
    ConsumerRecord,
    JobRunRecord,
    Snapshot,
    TaskRunRecord,
    UpdateRecord,
)
from app.store.definitions import ScheduleState
from app.store.incidents import Incident, Watch
from app.store.operations import OperationRecord, State
from app.store.parity_records import ParityTable
from app.store.progress import ItemRecord

if TYPE_CHECKING:
    from app.store.open import Store

DAYS = 22
"""How far back runs and updates are read. A rule whose window is longer has the rest read for it alone."""

WINDOWED = ("runs_per_day", "no_incidents", "reliability")
"""Kinds of evidence that count runs or updates of the last `days` days."""

MOST = 20_000
"""Runs of a side, or updates, that are read at most from before `DAYS`."""

SWAPS = ("cutover", "rollback")
"""Kinds of operations that change which side serves a table."""

SWITCHES = (*SWAPS, "pause", "unpause", "archive")
"""Kinds of operations that change a schedule."""

PAIRS = ("production", "development")


@dataclass(frozen=True)
class Facts:
    """The evidence at `now`. `snapshot` includes generated history; rules leave it out, it proves nothing.

    tasks: run id to tasks, of the newest ended run of each side. expectations: of each environment, the newest counts
    of each dataset. parity: pair to table to newest result; final_parity: to the newest of a deterministic comparison.
    schema_differences: table to deciding differences, newest production comparison. verified: operation kind to the
    newest that was verified; started: to the newest that was started. record: what is recorded of each item that was
    met once, by key (of a gate: `gate:KEY`).
    deviations: the newest of each key, accepted or withdrawn.
    personas: whether ticks and sign-offs of personas count; only on a local workspace.
    consumers: who was seen reading the tables.
    performance: run time and cost of both sides, the same for every rule, page and command.
    schedules: side to its schedule as it was observed, oldest first. incidents: open ones, and those with evidence
    within the window of a rule. watch: since when the worker looks for incidents. older_runs, older_updates: from
    before `DAYS`, where a rule's window is longer.
    """

    now: datetime
    migration: Migration
    snapshot: Snapshot
    tasks: Mapping[int, Sequence[TaskRunRecord]]
    expectations: Mapping[str, Counts]
    parity: Mapping[str, Mapping[str, ParityTable]]
    final_parity: Mapping[str, Mapping[str, ParityTable]]
    streaks: Mapping[str, Streak]
    schema_differences: Mapping[str, int]
    ticks: Mapping[str, Tick]
    verified: Mapping[str, OperationRecord]
    personas: bool = False
    record: Mapping[str, ItemRecord] = field(default_factory=dict)
    performance: Assessment = NOT_ASSESSED
    started: Mapping[str, OperationRecord] = field(default_factory=dict)
    consumers: Sequence[ConsumerRecord] = ()
    deviations: Mapping[str, Deviation] = field(default_factory=dict)
    schedules: Mapping[str, Sequence[ScheduleState]] = field(default_factory=dict)
    incidents: Sequence[Incident] = ()
    watch: Watch | None = None
    older_runs: Sequence[JobRunRecord] = ()
    older_updates: Sequence[UpdateRecord] = ()
    _derived: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def newest_of(self, kinds: Sequence[str]) -> OperationRecord | None:
        """The operation of these kinds that has started and not ended, else the one that ended last."""
        found = [o for kind in kinds if (o := self.started.get(kind)) is not None]
        return max(found, key=lambda o: (o.ended_at is None, o.ended_at or self.now), default=None)

    def tick(self, key: str) -> Tick | None:
        """The newest tick of a key, if it is not withdrawn and counts."""
        found = self.ticks.get(key)
        return found if found is not None and found.counts(self.personas) else None

    def real_runs(self, side: str) -> list[JobRunRecord]:
        """Ended runs of a side, newest first, without generated history."""
        return [r for r in self.snapshot.runs if r.side == side and not r.generated and not r.active]

    def real_updates(self, environment: str) -> list[UpdateRecord]:
        """Ended updates of a pipeline that may have written tables, newest first, without generated history."""
        return [u for u in writing_updates(self.snapshot, environment) if not u.active]

    def runs_within(self, side: str, days: float) -> list[JobRunRecord]:
        """Ended and running runs of a side that started within so many days, newest first; generated ones are not."""
        since = self.now - timedelta(days=days)
        runs = (*self.snapshot.runs, *self.older_runs)
        return [r for r in runs if r.side == side and not r.generated and r.start_time >= since]

    def updates_within(self, environment: str, days: float) -> list[UpdateRecord]:
        """As `real_updates`, of those that were requested within so many days."""
        since = self.now - timedelta(days=days)
        older = [u for u in self.older_updates if u.environment == environment and _writes(u)]
        return [u for u in (*self.real_updates(environment), *older) if u.start_time >= since]

    def complete_until(self, source: str) -> datetime | None:
        """Up to when a source was read completely; None where older history of it is still to come."""
        status = self.snapshot.sources.get(source)
        return None if status is None or status.backlog is not None else status.last_success

    def last_write(self, environment: str) -> datetime | None:
        """When a run of the old job or an update of this pipeline may last have written; `now` while one is active.

        An update that failed or was cancelled may have refreshed some of its tables.
        """
        ends = [
            self.now if r.active else r.end_time for r in self.snapshot.runs if r.side == "baseline" and not r.generated
        ]
        ends += [self.now if u.active else u.end_time for u in writing_updates(self.snapshot, environment)]
        return max((e for e in ends if e is not None), default=None)


T = TypeVar("T")


def derived(rule: Callable[[Facts], T]) -> Callable[[Facts], T]:
    """Makes a pure function of the facts compute its value once for the same facts: many parts of a page use it."""

    @wraps(rule)
    def once(facts: Facts) -> T:
        if rule not in facts._derived:
            facts._derived[rule] = rule(facts)
        found: T = facts._derived[rule]
        return found

    return once


def writing_updates(snapshot: Snapshot, environment: str) -> list[UpdateRecord]:
    """Updates of a pipeline that may have written tables, newest first, without generated history."""
    return [u for u in snapshot.updates if u.environment == environment and not u.generated and not u.validate_only]


def _writes(update: UpdateRecord) -> bool:
    return not update.generated and not update.validate_only and not update.active


def window_days(migration: Migration) -> int:
    """Days of the longest window of a rule over runs and updates, at least `DAYS`."""
    longest = max((e.params["days"] for _, e in migration.evidence() if e.kind in WINDOWED), default=0)
    # A day more: whole days of the migration's zone end at its midnight.
    return max(DAYS, longest + 1)


def load_facts(store: Store, migration: Migration, now: datetime | None = None) -> Facts:
    """Reads the store only, with a few queries whatever the length of its history."""
    as_of = now or current_time()
    since = as_of - timedelta(days=DAYS)
    snapshot = store.collected.snapshot(since, runs=2000, updates=2000)
    newest_runs = [
        next((r.run_id for r in snapshot.runs if r.side == side and not r.generated and not r.active), None)
        for side in ("baseline", "candidate")
    ]
    longest = as_of - timedelta(days=window_days(migration))
    older_runs: list[JobRunRecord] = []
    older_updates: list[UpdateRecord] = []
    if longest < since:
        for side in ("baseline", "candidate"):
            older_runs += store.collected.runs(side, since=longest, until=since, limit=MOST)
        older_updates = store.collected.updates(since=longest, until=since, limit=MOST)
    names = [t.name for t in migration.tables]
    parity = {pair: store.parity.latest(pair) for pair in PAIRS}
    started, verified = {}, {}
    for kind in (*SWITCHES, "rehearse", "unarchive"):
        newest = store.operations.newest_started(kind, migration.name)
        if newest is None:
            continue
        started[kind] = newest
        last = newest if newest.state is State.VERIFIED else store.operations.last(kind, migration.name)
        if last is not None:
            verified[kind] = last
    return Facts(
        now=as_of,
        migration=migration,
        snapshot=snapshot,
        tasks=store.collected.tasks([r for r in newest_runs if r is not None]),
        expectations={
            environment: load_counts(
                store.collected, [u for u in writing_updates(snapshot, environment) if not u.active]
            )
            for environment in PAIRS
        },
        parity=parity,
        final_parity={pair: store.parity.latest(pair, final=True) for pair in PAIRS},
        streaks={pair: current_streak(store, names, pair) for pair in PAIRS},
        schema_differences={
            table: deciding
            for table, result in parity["production"].items()
            if (deciding := _schema_differences(store.parity.report(result.parity_id, table))) is not None
        },
        ticks=store.checklist.latest(),
        verified=verified,
        started=started,
        consumers=store.collected.consumers(),
        personas=store.binding.local(),
        record=store.progress.records(),
        performance=load_assessment(store, migration.performance, as_of),
        deviations=store.checklist.deviations(),
        schedules=store.definitions.schedules(),
        incidents=store.incidents.since(longest),
        watch=store.incidents.watch(),
        older_runs=older_runs,
        older_updates=older_updates,
    )


def _schema_differences(report: Mapping[str, Any] | None) -> int | None:
    """Number of deciding schema differences; None where the schemas were not read."""
    if report is None:
        return None
    deciding = sum(1 for d in report.get("schema_differences", ()) if d["decides"])
    return deciding if deciding or report.get("columns") else None
