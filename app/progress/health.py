"""The health of both sides within a time: slots, freshness, expectations, incidents; and the sentence for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from app.config.migration import Migration
from app.progress.adherence import Slot, SlotState
from app.progress.freshness import Freshness, freshness
from app.progress.quality_trend import WARM_UP, Trend, since_then, trends
from app.progress.watch import SIDES, schedule_slots
from app.store.collected.records import SourceStatus
from app.store.definitions import ScheduleState
from app.store.incidents import Incident, Watch

if TYPE_CHECKING:
    from app.store.open import Store

MOST = 5000
"""Runs of a side, and updates, that are read at most."""


@dataclass(frozen=True)
class HealthReport:
    """Health of both sides within [since, now). slots: by side. incidents: open ones first, then by newest evidence.

    schedules: side to its newest observed schedule; none of a side that was never observed. runs: real runs collected.
    """

    since: datetime
    now: datetime
    slots: Mapping[str, Sequence[Slot]]
    schedules: Mapping[str, ScheduleState]
    tables: Sequence[Freshness]
    trends: Sequence[Trend]
    incidents: Sequence[Incident]
    watch: Watch | None
    sources: Mapping[str, SourceStatus]
    runs: int

    @property
    def open_incidents(self) -> list[Incident]:
        """Incidents that nobody has closed."""
        return [i for i in self.incidents if i.open]

    def counts(self, side: str) -> Counter[SlotState]:
        """How many slots of a side have each state."""
        return Counter(s.state for s in self.slots.get(side, ()))

    def stale(self, side: str) -> list[Freshness]:
        """Tables of a side that were not written for a slot or more."""
        return [t for t in self.tables if t.side == side and t.state == "stale"]


def load_health(
    store: Store, migration: Migration, since: datetime, now: datetime, *, generated: bool = False
) -> HealthReport:
    """Reads the store with a few queries. generated: whether slots and expectations show generated history too."""
    snapshot = store.collected.snapshot(since - WARM_UP, runs=MOST, updates=MOST)
    runs = [r for r in snapshot.runs if generated or not r.generated]
    slots = schedule_slots(store, migration, runs, since, now, generated=generated)
    updates = {
        u.update_id: u for u in snapshot.updates if u.environment == "production" and (generated or not u.generated)
    }
    shares = trends(store.collected.expectations(since=since - WARM_UP), updates, migration.health)
    schedules = {side: states[-1] for side, states in store.definitions.schedules().items()}
    return HealthReport(
        since=since,
        now=now,
        slots=slots,
        schedules=schedules,
        tables=freshness(migration, snapshot.tables, slots, schedules, now),
        trends=since_then(shares, since),
        incidents=store.incidents.since(since),
        watch=store.incidents.watch(),
        sources=snapshot.sources,
        runs=sum(1 for r in runs if not r.generated and r.side in SIDES),
    )


def headline(found: HealthReport) -> tuple[str, str]:
    """State (`incidents`, `degraded`, `healthy`, `unknown`) and the answer to "Is the new side healthy?"."""
    slots = slots_text(found, "candidate")
    stale = found.stale("candidate")
    new = [t for t in found.tables if t.side == "candidate"]
    mine = [i for i in found.open_incidents if i.side == "candidate"]
    others = len(found.open_incidents) - len(mine)
    if mine:
        of_old = f", {others} of the old side" if others else ""
        return "incidents", f"{_incidents(len(mine), 'new')}{of_old}; the newest: {mine[0].summary}. {slots}"
    calm = f"{_incidents(others, 'old')}, none of the new side." if others else "No incident is open."
    if not found.runs:
        return "unknown", "No real run has been collected yet."
    if stale:
        return "degraded", f"{calm} {len(stale)} of {len(new)} tables of the new side are stale. {slots}"
    broken = sum(n for s, n in found.counts("candidate").items() if s.broken)
    if broken:
        return "degraded", f"{calm} {slots}"
    written = sum(t.state == "fresh" for t in new)
    many = f"All {written}" if written == len(new) else f"{written} of {len(new)}"
    fresh = f" {many} tables of the new side are fresh." if written else ""
    if not any(s.state.served for s in found.slots.get("candidate", ())):
        return "unknown", f"{calm} {slots}{fresh}"
    return "healthy", f"{calm} {slots}{fresh}"


def _incidents(number: int, side: str) -> str:
    return (
        f"1 incident of the {side} side is open" if number == 1 else f"{number} incidents of the {side} side are open"
    )


def slots_text(found: HealthReport, side: str) -> str:
    """`56 of 56 slots of the new job had a successful run within 14 days.`, or why there were none."""
    job = {"baseline": "old", "candidate": "new"}[side]
    counts = found.counts(side)
    served = sum(n for s, n in counts.items() if s.served)
    decided = served + sum(n for s, n in counts.items() if s.broken)
    days = round((found.now - found.since) / timedelta(days=1))
    if decided:
        late = f", {counts[SlotState.LATE]} of them late" if counts[SlotState.LATE] else ""
        return f"{served} of {decided} slots of the {job} job had a successful run within {days} days{late}."
    schedule = found.schedules.get(side)
    if schedule is None or not schedule.quartz:
        return f"The {job} job's schedule is not observed yet."
    if not schedule.active:
        return f"The {job} job's schedule is paused: no slot was due within {days} days."
    return f"No slot of the {job} job is decided yet."
