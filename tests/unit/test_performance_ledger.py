"""Where each dollar went, and what happened on each day: lines that add up to all bills, to the billionth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.performance.attribution import Attribution, Read, attribute
from app.performance.days import by_day
from app.performance.ledger import Entry, ledger
from app.performance.money import Amount
from app.store.collected.records import JobRunRecord, UpdateRecord, UsageRecord

T = datetime(2026, 7, 1, 9, tzinfo=UTC)
DAY = timedelta(days=1)
RUN = JobRunRecord(
    "baseline", 1, 1, 1, "PERIODIC", "TERMINATED", "SUCCESS", "", T, T + timedelta(minutes=10), 600.0, 0.0, ""
)
RECORD = UsageRecord(
    "r", "ORIGINAL", "baseline", 1, 1, None, None, "JOBS", 2.0, 0.15, 0.30, T, T + timedelta(minutes=10), "JOBS"
)
UPDATE = UpdateRecord(
    "p", "p", "production", "u", "COMPLETED", "USER_ACTION", False, False, (), T, T + DAY / 24, 60.0, None, ""
)


def of(
    runs: Sequence[JobRunRecord],
    usage: Sequence[UsageRecord],
    updates: Sequence[UpdateRecord] = (),
    cut: frozenset[str] = frozenset(),
) -> Attribution:
    until = T + 9 * DAY
    read = Read(until, dict.fromkeys(("baseline", "candidate"), until), {"production": until})
    return attribute(usage, runs, updates, read, cut)


def lines(found: Attribution) -> dict[str, tuple[int | None, float | None]]:
    return {e.what: (e.runs, e.amount.usd) for e in ledger(found)}


def test_each_dollar_is_on_one_line_with_what_it_led_to() -> None:
    runs = [
        RUN,
        replace(RUN, run_id=2, start_time=T + DAY, end_time=T + DAY + DAY / 24, result_state="FAILED"),
        replace(RUN, run_id=3, start_time=T + 2 * DAY, end_time=T + 2 * DAY + DAY / 24),
        replace(RUN, run_id=4, start_time=T + 3 * DAY, end_time=T + 3 * DAY + DAY / 24, result_state="FAILED"),
        replace(RUN, run_id=5, start_time=T + 9 * DAY, end_time=T + 9 * DAY, side="candidate"),
    ]
    usage = [replace(RECORD, record_id=f"r{n}", job_run_id=n, side=r.side) for n, r in enumerate(runs, 1)]
    usage += [
        replace(
            RECORD,
            record_id="care",
            side="candidate",
            job_run_id=None,
            job_id=None,
            pipeline_id="p",
            maintenance_id="m",
            usd=0.07,
        ),
        replace(RECORD, record_id="hand", side="candidate", job_run_id=None, pipeline_id="p", update_id="u", usd=0.11),
        replace(RECORD, record_id="lost", job_run_id=99, usd=0.13),
    ]
    found = of(runs, usage, [UPDATE])
    assert lines(found) == {
        "deliveries, bills final": (3, 0.90),
        "runs that no delivery followed yet": (1, 0.30),
        "no run: run that was not collected": (None, 0.13),
        "deliveries, bills not final": (1, 0.30),
        "no run: maintenance of the pipeline": (None, 0.07),
        "no run: update outside of the job": (None, 0.11),
    }, "run 3 delivered with its failed attempt; run 4 led to nothing yet; run 5 ended when billing was read last"


def test_what_was_spent_before_the_first_whole_delivery_is_not_lost() -> None:
    runs = [RUN, replace(RUN, run_id=2, start_time=T + DAY, end_time=T + DAY)]
    usage = [replace(RECORD, record_id=f"r{n}", job_run_id=n) for n in (1, 2)]
    found = of(runs, usage, cut=frozenset({"baseline"}))
    assert lines(found) == {
        "deliveries, bills final": (1, 0.30),
        "runs before the first whole delivery": (1, 0.30),
    }


@pytest.mark.parametrize("order", [1, -1])
def test_the_lines_of_a_side_are_its_price_table(order: int) -> None:
    runs = [replace(RUN, run_id=n, start_time=T + n * DAY, end_time=T + n * DAY, generated=n > 3) for n in range(1, 7)]
    usage = [
        replace(RECORD, record_id=f"r{n}", job_run_id=n if n < 9 else None, usd=0.1 + n / 3, generated=3 < n < 7)
        for n in range(1, 11)
    ]
    usage.append(replace(RECORD, record_id="back", record_type="RETRACTION", job_run_id=2, usd=-0.1, dbu=-1.0))
    found = of(runs[::order], usage[::order])
    for generated in (False, True):
        entries: list[Entry] = [e for e in ledger(found) if e.generated is generated]
        prices = sum((p.amount for p in found.prices if p.generated is generated), Amount())
        assert sum((e.amount for e in entries), Amount()) == prices == found.total("baseline", generated=generated)
        assert prices.nano_usd == sum(round(u.usd * 1e9) for u in usage if u.generated is generated and u.usd)


def test_days_are_those_of_the_reader() -> None:
    late = datetime(2026, 7, 2, 1, tzinfo=UTC)  # 21:00 of the day before in New York
    runs = [
        RUN,
        replace(RUN, run_id=2, start_time=late, end_time=late, run_seconds=100.0),
        replace(RUN, run_id=3, start_time=late, end_time=late, run_seconds=20.0, result_state="FAILED"),
    ]
    found = of(runs, [replace(RECORD, record_id=f"r{n}", job_run_id=n) for n in (1, 2, 3)])
    (day,) = by_day(found.bills.values(), ZoneInfo("America/New_York"), {1: 600.0, 2: 100.0, 3: 20.0})
    assert (day.day, day.runs, day.successful, day.run_seconds) == (date(2026, 7, 1), 3, 2, 350.0)
    assert day.amount.usd == 0.90, "a failed run costs what it cost"
    assert [(d.day.day, d.runs) for d in by_day(found.bills.values(), ZoneInfo("UTC"), {})] == [
        (2, 2),
        (1, 1),
    ]
