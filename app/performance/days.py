"""Runs and bills by day of the reader's zone. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from statistics import median
from zoneinfo import ZoneInfo

from app.performance.attribution import Bill, RunBill
from app.performance.money import Amount


@dataclass(frozen=True)
class Day:
    """One side on one local day, by the start of its runs.

    run_seconds: median run time of the successful runs. amount: what all runs of the day cost, failed ones too.
    incomplete: runs whose bill is not final.
    """

    side: str
    day: date
    runs: int
    successful: int
    run_seconds: float | None
    amount: Amount
    incomplete: int


def by_day(bills: Iterable[RunBill], zone: ZoneInfo, run_times: Mapping[int, float]) -> list[Day]:
    """The days that have runs, newest first, the old side before the new one. run_times: by run id, in seconds."""
    grouped: dict[tuple[date, str], list[RunBill]] = {}
    for bill in bills:
        grouped.setdefault((bill.run.start_time.astimezone(zone).date(), bill.run.side), []).append(bill)
    found = []
    for (day, side), mine in sorted(grouped.items(), key=lambda item: (-item[0][0].toordinal(), item[0][1])):
        good = [b for b in mine if b.run.result_state == "SUCCESS"]
        times = [run_times[b.run.run_id] for b in good if b.run.run_id in run_times]
        found.append(
            Day(
                side,
                day,
                len(mine),
                len(good),
                median(times) if times else None,
                sum((b.amount for b in mine), Amount()),
                sum(b.state is not Bill.FINAL for b in mine),
            )
        )
    return found
