"""Runs, updates and billing records of a made-up history, and the assessment over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from app.config.performance import USUAL, Performance
from app.performance.assessment import Assessment, assess
from app.performance.attribution import Read, attribute
from app.performance.pairs import Compared
from app.store.collected.records import JobRunRecord, ScheduleRecord, UpdateRecord, UsageRecord

NOW = datetime(2026, 3, 28, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
QUARTZ = "55 0 5/6 * * ?"
ZONE = "America/New_York"
JOBS_PRICE, DLT_PRICE = 0.20, 0.36
EVERYTHING = Read(
    NOW,
    dict.fromkeys(("baseline", "candidate", "development"), NOW),
    dict.fromkeys(("production", "development"), NOW),
)
"""Every source was read whole at `NOW`."""


def job_run(side: str, run_id: int, start: datetime, seconds: float = 100.0, **more: Any) -> JobRunRecord:
    values: dict[str, Any] = {
        "side": side, "job_id": 1, "run_id": run_id, "number": run_id, "trigger": "PERIODIC",
        "life_cycle_state": "TERMINATED", "result_state": "SUCCESS", "state_message": "", "start_time": start,
        "end_time": start + timedelta(seconds=seconds), "run_seconds": seconds, "queue_seconds": 0.0,
        "run_page_url": "https://x/run",
    }  # fmt: skip
    return JobRunRecord(**{**values, **more})


def pipeline_update(update_id: str, start: datetime, run_id: int | None = None, **more: Any) -> UpdateRecord:
    values: dict[str, Any] = {
        "pipeline_id": "p", "pipeline_name": "P", "environment": "production", "update_id": update_id,
        "state": "COMPLETED", "cause": "JOB_TASK", "full_refresh": False, "validate_only": False,
        "refresh_selection": (), "start_time": start, "end_time": start + timedelta(seconds=60), "seconds": 60.0,
        "job_run_id": run_id, "url": "",
    }  # fmt: skip
    return UpdateRecord(**{**values, **more})


def bill(
    record_id: str, dbu: float, price: float | None = JOBS_PRICE, side: str = "baseline", **more: Any
) -> UsageRecord:
    start = more.pop("start", NOW - 48 * HOUR)
    values: dict[str, Any] = {
        "record_id": record_id, "record_type": "ORIGINAL", "side": side, "job_id": None, "job_run_id": None,
        "pipeline_id": None, "update_id": None, "sku": "S", "dbu": dbu, "list_price_usd": price,
        "usd": None if price is None else dbu * price, "start": start, "end": start + HOUR, "product": "JOBS",
    }  # fmt: skip
    return UsageRecord(**{**values, **more})


def schedule(side: str, quartz: str = QUARTZ, zone: str = ZONE) -> ScheduleRecord:
    return ScheduleRecord(side, 1, side, "schedule", quartz, zone, "UNPAUSED", "", NOW)


SCHEDULES = {side: schedule(side) for side in ("baseline", "candidate")}


def assessed(
    runs: Iterable[JobRunRecord],
    usage: Iterable[UsageRecord] = (),
    updates: Iterable[UpdateRecord] = (),
    *,
    settings: Performance = USUAL,
    read: Read = EVERYTHING,
    schedules: Mapping[str, ScheduleRecord] = SCHEDULES,
    compared: Iterable[Compared] = (),
    now: datetime = NOW,
) -> Assessment:
    """The assessment over these records, as if every source had been read."""
    return assess(settings, attribute(usage, runs, updates, read), schedules, compared, now)


def slots(count: int, last: datetime = NOW - 48 * HOUR) -> list[datetime]:
    """The newest `count` slots of the schedule until `last`, six hours apart, newest first (no clock change within)."""
    day = last.replace(hour=9, minute=0, second=55)
    return [day - 6 * HOUR * n for n in range(count)]


def side_by_side(
    old: Iterable[float], new: Iterable[float], *, dbu: tuple[float, float] = (10.0, 4.0), first_id: int = 1
) -> tuple[list[JobRunRecord], list[UsageRecord]]:
    """Successful runs of both sides in each slot, by their seconds, newest first, each with its bill.

    dbu: of an old run (job compute) and of a new one (job compute; a pipeline's is for the test to add).
    """
    runs: list[JobRunRecord] = []
    usage: list[UsageRecord] = []
    pairs = list(zip(old, new, strict=True))
    for n, (at, (a, b)) in enumerate(zip(slots(len(pairs)), pairs, strict=True)):
        for side, seconds, run_id, used in (
            ("baseline", a, first_id + 2 * n, dbu[0]),
            ("candidate", b, first_id + 2 * n + 1, dbu[1]),
        ):
            runs.append(job_run(side, run_id, at, seconds))
            usage.append(bill(f"b{run_id}", used, side=side, job_run_id=run_id, start=at))
    return runs, usage
