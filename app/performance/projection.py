"""What running both sides costs: so far, and a month of each side, in US dollars at list price."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from app.performance.assessment import Assessment
from app.performance.attribution import SETTLES, Bill
from app.performance.money import Amount
from app.performance.statistic import Estimate, mean_interval

if TYPE_CHECKING:
    from app.store.open import Store

DAYS_A_MONTH = 365.25 / 12

BESIDE = timedelta(hours=24)
"""Runs of both sides that start within this time of one another ran beside each other: the guide compares daily."""

SIDES = ("baseline", "candidate")


@dataclass(frozen=True)
class Projection:
    """The cost of the parallel period so far, and of a month of each side.

    since, until: of the parallel period, from the first run of the new side beside one of the old side until a day
    after the last run of either; None without one. spent: by side, all that was billed for usage in it, with or without
    a run; may grow for usage after `settled_until`. days: the settled days on which the monthly figures rest, oldest
    first. left_out: settled days on which a bill is missing. needed: how many days they need. baseline, candidate: a
    month of each side; saving: what the new side saves a month, from the daily differences; None with fewer days than
    needed.
    """

    since: datetime | None = None
    until: datetime | None = None
    spent: Mapping[str, Amount] = field(default_factory=dict)
    settled_until: datetime | None = None
    days: tuple[date, ...] = ()
    left_out: tuple[date, ...] = ()
    needed: int = 0
    baseline: Estimate | None = None
    candidate: Estimate | None = None
    saving: Estimate | None = None


def load_projection(store: Store, assessment: Assessment, zone: tzinfo, now: datetime) -> Projection:
    """The projection at `now`. zone: of the days. Raises StoreError."""
    c = store.collected
    since = _beside(c.first_run)
    lasts = [last for side in SIDES if (last := c.last_run(side)) is not None]
    until = None if since is None else min([now, *(last + BESIDE for last in lasts)])
    billed = {} if since is None or until is None else c.billed(since, until)
    spent = {side: Amount(*sums) for side, sums in billed.items()}
    return project(assessment, since, until, spent, c.complete_until("billing"), zone)


def _beside(first_run: Callable[[str, datetime | None], datetime | None]) -> datetime | None:
    """When the first run of the new side started that ran beside one of the old side; None without one.

    first_run: start of the first measured run of a side at or after a moment, None: of all.
    """
    new = first_run("candidate", None)
    while new is not None:
        old = first_run("baseline", new - BESIDE)
        if old is None:
            return None
        if old - new <= BESIDE:
            return new
        new = first_run("candidate", old - BESIDE)
    return None


def project(
    assessment: Assessment,
    since: datetime | None,
    until: datetime | None,
    spent: Mapping[str, Amount],
    read: datetime | None,
    zone: tzinfo,
) -> Projection:
    """The projection from what was read. read: when billing was read whole, None where it was not. Pure."""
    settings = assessment.settings
    settled = None if read is None else read - SETTLES
    plain = Projection(since, until, spent, settled, needed=settings.minimum_days)
    if since is None or until is None or settled is None or assessment.since is None:
        return plain
    every = list(_whole_days(max(since, assessment.since), min(until, settled), zone))
    unsure = _unsure(assessment, zone)
    days = [d for d in every if d not in unsure]
    left_out = tuple(d for d in every if d in unsure)
    old, new = (daily(assessment, side, days, zone) for side in SIDES)
    plain = Projection(since, until, spent, settled, tuple(days), left_out, settings.minimum_days)
    if len(days) < max(2, settings.minimum_days):
        return plain
    saved = [a - b for a, b in zip(old, new, strict=True)]
    baseline, candidate, saving = (
        mean_interval(values, settings.confidence).times(DAYS_A_MONTH) for values in (old, new, saved)
    )
    return Projection(
        since, until, spent, settled, tuple(days), left_out, settings.minimum_days, baseline, candidate, saving
    )


def _whole_days(since: datetime, until: datetime, zone: tzinfo) -> Iterable[date]:
    """The days of `zone` that lie between the two moments from midnight to midnight."""
    day = since.astimezone(zone).date()
    while _midnight(day + timedelta(days=1), zone) <= until:
        if _midnight(day, zone) >= since:
            yield day
        day += timedelta(days=1)


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone)


def _unsure(assessment: Assessment, zone: tzinfo) -> set[date]:
    """Days that cost more than is known: a successful run has no whole bill, or a record has no price."""
    found = assessment.attribution
    bills = [
        b.run.start_time for b in found.bills.values() if b.run.side in SIDES and _lacks(b.state, b.run.result_state)
    ]
    records = [u.start for u in found.records if u.usd is None and u.side in SIDES and not u.generated]
    return {at.astimezone(zone).date() for at in (*bills, *records)}


def _lacks(state: Bill, result: str | None) -> bool:
    return state in (Bill.PARTIAL, Bill.OPEN) or (state is Bill.MISSING and result == "SUCCESS")


def daily(assessment: Assessment, side: str, days: Iterable[date], zone: tzinfo) -> list[float]:
    """US dollars of each day, with or without a run."""
    sums = dict.fromkeys(days, 0)
    for u in assessment.attribution.records:
        if u.side == side and not u.generated and (day := u.start.astimezone(zone).date()) in sums:
            sums[day] += Amount.of([u]).nano_usd
    return [nano / 1e9 for nano in sums.values()]
