"""Reads from the store what the assessment needs: the window and what the oldest delivery in it took."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from app.config.performance import Performance
from app.performance.assessment import Assessment, assess
from app.performance.attribution import ENVIRONMENTS, Read, attribute
from app.performance.pairs import Compared
from app.performance.setup import setups_of

if TYPE_CHECKING:
    from app.store.open import Store

SIDES = ("baseline", "candidate", "development")

LONGEST = timedelta(days=2)
"""Of a run. Runs and updates are read from so much earlier than billing records, whose run may have started before."""

RECENT = timedelta(hours=6)
"""Since the end of a run: until then the worker may not have stored its setup yet."""

MOST_RUNS = 1_000
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
    compared = [
        Compared(int(run.baseline.id), run.candidate.job_run_id, max(run.baseline.ended_at, run.candidate.ended_at))
        for run in store.parity.ended("production", since=window)
        if run.pair is not None
        and run.baseline is not None
        and run.candidate is not None
        and run.baseline.ended_at is not None
        and run.candidate.ended_at is not None
        and run.candidate.job_run_id is not None
    ]
    attribution = attribute(usage, runs, updates, read, frozenset(cut))
    setups = {r.run_id: r.setup_seconds for r in runs if r.setup_seconds is not None}
    fresh = [d.run.run_id for d in attribution.deliveries if d.end >= now - RECENT and d.run.setup_seconds is None]
    return assess(settings, attribution, c.schedules(), compared, now, {**setups, **setups_of(c, fresh, updates)})
