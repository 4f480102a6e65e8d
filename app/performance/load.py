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

MOST = 50_000
"""Of each kind of record. More than a run every minute for the longest window."""


def load_assessment(store: Store, settings: Performance, now: datetime) -> Assessment:
    """The assessment at `now`. Reads the window only, whatever the length of the history. Raises StoreError."""
    c = store.collected
    window = now - timedelta(days=settings.window_days)
    starts = {side: c.delivered_from(side, window) for side in SIDES}
    since = min([window, *(at for at in starts.values() if at is not None)])
    runs = [run for side in SIDES for run in c.runs(side, since=since - LONGEST, limit=MOST)]
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
    # Of a side that succeeded before the window, what is read begins in the middle of an older delivery.
    cut = frozenset(side for side, at in starts.items() if at is not None and at < window)
    attribution = attribute(usage, runs, updates, read, cut)
    setups = {r.run_id: r.setup_seconds for r in runs if r.setup_seconds is not None}
    fresh = [d.run.run_id for d in attribution.deliveries if d.end >= now - RECENT and d.run.setup_seconds is None]
    return assess(settings, attribution, c.schedules(), compared, now, {**setups, **setups_of(c, fresh, updates)})
