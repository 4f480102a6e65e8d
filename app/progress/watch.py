"""The worker's look for incidents: records schedules and schemas that changed, then every sign since the last days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from app.access import Access, Actor
from app.config.migration import Migration
from app.progress import incidents
from app.progress.adherence import Slot, TooMany, slots
from app.progress.configuration import ConfigurationOf
from app.progress.drift import load_drift
from app.progress.quality_trend import WARM_UP, trends
from app.store.base import now as current_time
from app.store.collected.records import JobRunRecord, TableRecord
from app.store.definitions import DRIFT, SCHEDULE, SCHEMA, SETTINGS
from app.store.incidents import Sign

if TYPE_CHECKING:
    from app.store.open import Store

LOOK_BACK = timedelta(days=22)
"""How far back each look reads: what a worker that was down missed is found once it is back."""

SIDES = ("baseline", "candidate")
PRODUCTION = (*SIDES, "production")
"""Sides of jobs, and the environment of the pipeline, whose changes of settings are incidents."""
WORKER = Actor("cutover worker", frozenset(), "worker")


def look(
    store: Store,
    migration: Migration,
    access: Access,
    now: datetime | None = None,
    *,
    settings: Sequence[ConfigurationOf] = (),
) -> int:
    """Opens incidents for what the store proves, adds evidence to open ones, journals openings in the audit log.

    settings: those of pipelines and jobs as they are now, compared with the required ones.
    Looking twice changes nothing. Returns how many incidents were opened. Raises StoreError.
    """
    at = now or current_time()
    since = at - LOOK_BACK
    _observe(store, at, settings)
    _observe_drift(store, migration, at)
    opened = store.incidents.record(_signs(store, migration, since, at))
    for new in store.incidents.unaudited():
        detail = {"kind": new.kind, "subject": new.subject, "evidence": [p.evidence for p in new.proofs]}
        access.record(WORKER, "incident.open", "done", f"incident {new.id}", new.summary, detail)
        store.incidents.set_audited(new.id)
    covered = _covered_until(store)
    if covered is not None:
        store.incidents.watched(since, covered)
    return opened


def schedule_slots(
    store: Store,
    migration: Migration,
    runs: Sequence[JobRunRecord],
    since: datetime,
    now: datetime,
    *,
    generated: bool = False,
) -> dict[str, list[Slot]]:
    """Each side's slots since then; none of a side whose schedule fires too often to be judged by slot.

    generated: whether generated runs serve slots too, for a page that shows them.
    """
    states = store.definitions.schedules()
    found: dict[str, list[Slot]] = {}
    for side in SIDES:
        mine = [r for r in runs if r.side == side and (generated or not r.generated)]
        read = store.collected.complete_until(f"runs:{side}")
        try:
            found[side] = slots(side, states.get(side, ()), mine, since, now, migration.health, read)
        except TooMany:
            continue
    return found


def _observe(store: Store, at: datetime, settings: Sequence[ConfigurationOf]) -> None:
    schedules = {
        side: {"quartz": s.quartz, "timezone": s.timezone, "active": s.pause_status == "UNPAUSED"}
        for side, s in store.collected.schedules().items()
        if side in SIDES
    }
    store.definitions.observe(SCHEDULE, schedules, at)
    differing = {
        f"{s.kind}:{s.key}": [[d.field, d.wanted, d.found] for d in s.differences]
        for s in settings
        if s.as_of is not None and s.key in PRODUCTION
    }
    store.definitions.observe(SETTINGS, differing, at)
    store.definitions.observe(SCHEMA, {n: _columns(t) for n, t in store.collected.tables().items() if t.columns}, at)


def _observe_drift(store: Store, migration: Migration, at: datetime) -> None:
    watched = load_drift(store, migration, at)
    if watched.unknown:
        return  # An operation changes the world, or nothing says what it left: what was seen before stays.
    gone: dict[str, Any] = {d.name: {} for d in store.definitions.history(DRIFT)}
    now = {d.key: {"text": d.text, "side": d.side, "restore": d.restore} for d in watched.found}
    store.definitions.observe(DRIFT, gone | now, at)


def _columns(table: TableRecord) -> list[list[str]]:
    return [[c.name, c.type] for c in table.columns]


def _signs(store: Store, migration: Migration, since: datetime, now: datetime) -> list[Sign]:
    collected = store.collected
    runs = [r for side in SIDES for r in collected.runs(side, since=since, limit=5000)]
    updates = collected.updates("production", since=since - WARM_UP, limit=5000)
    found = incidents.of_runs(runs) + incidents.of_updates(u for u in updates if u.start_time >= since)
    for of_side in schedule_slots(store, migration, runs, since, now).values():
        found += incidents.of_slots(of_side)
    results = store.parity.history(sides="production", limit=5000)
    found += incidents.of_parity(r for r in results if r.finished_at is not None and r.finished_at >= since)
    found += incidents.of_settings(store.definitions.history(SETTINGS))
    found += incidents.of_drift(store.definitions.history(DRIFT))
    found += incidents.of_schemas(store.definitions.history(SCHEMA), _sides(migration))
    if collected.complete_until("events:production") is not None:
        measured = {u.update_id: u for u in updates}
        shares = trends(collected.expectations(since=since - WARM_UP), measured, migration.health)
        found += incidents.of_trends(shares, since)
    return found


def _sides(migration: Migration) -> Mapping[str, str]:
    return {n: side for t in migration.tables for n, side in ((t.baseline, "baseline"), (t.candidate, "candidate"))}


def _covered_until(store: Store) -> datetime | None:
    """Until when runs of both sides and updates were read completely; None where one of them is not."""
    read = [store.collected.complete_until(s) for s in (*(f"runs:{s}" for s in SIDES), "updates:production")]
    known = [r for r in read if r is not None]
    return min(known) if len(known) == len(read) else None
