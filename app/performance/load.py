"""Reads from the store what the assessment needs: the window and what the oldest delivery in it took."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from app.config.performance import Performance
from app.performance.assessment import Assessment, assess
from app.performance.attribution import ENVIRONMENTS, Read, attribute
from app.performance.pairs import Compared
from app.performance.setup import setups_of
from app.store.collected.records import UpdateRecord

if TYPE_CHECKING:
    from app.store.open import Store

SIDES = ("baseline", "candidate", "development")

LONGEST = timedelta(days=2)
"""Of a run. Runs and updates are read from so much earlier than billing records, whose run may have started before."""

RECENT = timedelta(hours=6)
"""Since the end of a run: until then the worker may not have stored its setup yet."""

MOST_RUNS = 2_000
"""Of a side, the newest ones. At four runs a day that is more than the longest window; a run every few minutes needs no
more for its median."""

MOST = 50_000
"""Of updates and of billing records, to which runs of a time that is bounded by `MOST_RUNS` come."""


def load_assessment(store: Store, settings: Performance, now: datetime) -> Assessment:
    """The assessment at `now`. Reads the window only, whatever the length of the history. Raises StoreError."""
    c = store.collected
    window = now - timedelta(days=settings.window_days)
    starts = {side: c.delivered_from(side, window) for side in SIDES}
    since = min([window, *(at for at in starts.values() if at is not None)])
    of_side = {side: c.runs(side, since=since - LONGEST, limit=MOST_RUNS) for side in SIDES}
    # Of a side that succeeded before the window, what is read begins in the middle of an older delivery.
    cut = {side for side, at in starts.items() if at is not None and at < window}
    oldest = max((found[-1].start_time for found in of_side.values() if len(found) == MOST_RUNS), default=None)
    if oldest is not None:
        since, cut = oldest, set(SIDES)
    runs = [r for found in of_side.values() for r in found if oldest is None or r.start_time >= oldest]
    updates = c.updates(since=since - LONGEST, limit=MOST)
    usage = c.usage(since=since, limit=MOST)
    read = Read(
        billing=c.complete_until("billing"),
        runs={side: c.complete_until(f"runs:{side}") for side in SIDES},
        updates={e: c.complete_until(f"updates:{e}") for e in ENVIRONMENTS.values()},
    )
    attribution = attribute(usage, runs, updates, read, frozenset(cut))
    setups = {r.run_id: r.setup_seconds for r in runs if r.setup_seconds is not None}
    fresh = [d.run.run_id for d in attribution.deliveries if d.end >= now - RECENT and d.run.setup_seconds is None]
    setups |= setups_of(c, fresh, updates)
    return assess(settings, attribution, c.schedules(), _compared(store, window, updates), now, setups)


def _compared(store: Store, since: datetime, updates: Iterable[UpdateRecord]) -> Iterator[Compared]:
    """The runs that comparisons took as pairs. Which run started an update may be known only after the comparison."""
    started_by = {u.update_id: u.job_run_id for u in updates}
    for run in store.parity.ended("production", since=since):
        old, new = run.baseline, run.candidate
        if run.pair is None or old is None or new is None:
            continue
        candidate = new.job_run_id or started_by.get(new.id)
        written = [at for at in (old.ended_at, new.ended_at) if at is not None]
        if candidate is not None and len(written) == 2:
            yield Compared(int(old.id), candidate, max(written))
