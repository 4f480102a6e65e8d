"""Invented runs, updates and bills of both jobs with known ratios, for tests of run time and cost and of their page."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from app.config.migration import Migration
from app.store.base import now
from app.store.collected.records import JobRunRecord, PipelineRecord, ScheduleRecord, UpdateRecord, UsageRecord
from app.store.open import Store

HOST = "https://workspace.example.com"
OLD_JOB, NEW_JOB = 314473856953682, 200
OLD_SECONDS, OLD_DBU_AN_HOUR, JOBS_PRICE, PIPELINE_PRICE = 600.0, 14.0, 0.15, 0.36
SLOT = timedelta(hours=6)
SOURCES = ("schedules", "runs:baseline", "runs:candidate", "updates:production", "updates:development", "billing")


def seed(
    store: Store,
    migration: Migration,
    *,
    pairs: int = 20,
    run_time: float = 0.5,
    cost: float = 0.8,
    spread: float = 0.02,
    bills: bool = True,
    billing_hours_late: float = 0.0,
    failing: bool = False,
    generated: int = 0,
    moment: datetime | None = None,
) -> None:
    """Fills a store with `pairs` measured pairs, six hours apart, and `generated` older ones.

    run_time, cost: new over old, in the median; spread: how far a pair is from it, as a fraction. billing_hours_late: age
    of the newest reading of billing. failing: every fifth new run succeeds at its second attempt, there is maintenance,
    an update by hand and a record without a price.
    """
    at = (moment or now()).replace(microsecond=0)
    for source in SOURCES:
        late = timedelta(hours=billing_hours_late) if source == "billing" else timedelta(0)
        store.collected.source_succeeded(source, at - late, 86400)
    store.collected.put_schedules(
        [
            ScheduleRecord(
                side, job, name, "schedule", "55 0 5/6 * * ?", "America/New_York", status, f"{HOST}/jobs/{job}", at
            )
            for side, job, name, status in (
                ("baseline", OLD_JOB, migration.baseline_job.name, "UNPAUSED"),
                ("candidate", NEW_JOB, migration.candidate_job.name, "UNPAUSED"),
            )
        ]
    )
    store.collected.put_pipelines(
        [
            PipelineRecord(
                "production", "pl-production", migration.production_pipeline.name, "IDLE", "product", "fde", {},
                f"{HOST}/pipelines/pl-production", at,
                {"workers": 8, "node_type": "r6id.xlarge", "driver_node_type": "r6id.xlarge", "serverless": False},
            )
        ]
    )  # fmt: skip
    rng = random.Random(23)
    made: list[_Made] = []
    # Equally far above and below, so that the median of the ratios is the ratio that was asked for.
    offs = [1 + spread * (2 * n / max(1, pairs - 1) - 1) if pairs > 1 else 1.0 for n in range(pairs)]
    rng.shuffle(offs)
    for n in range(pairs + generated):
        off = offs[n] if n < pairs else rng.uniform(0.9, 1.1)
        made.append(_Made(migration, at - SLOT * n - timedelta(hours=2), n, off, run_time, cost, n >= pairs))
    for one in made:
        one.runs(store, failing and one.number % 5 == 3)
        if bills:
            one.bills(store, failing and one.number % 5 == 3)
    if failing:
        _beside(store, migration, at, bills)


class _Made:
    """One pair of runs, with the update of the new one and their bills."""

    def __init__(
        self,
        migration: Migration,
        start: datetime,
        number: int,
        off: float,
        run_time: float,
        cost: float,
        made_up: bool,
    ) -> None:
        self.migration, self.start, self.number, self.made_up = migration, start, number, made_up
        self.old_seconds = OLD_SECONDS * (1 + 0.1 * (number % 4))
        self.new_seconds = self.old_seconds * run_time * off
        self.old_usd = self.old_seconds / 3600 * OLD_DBU_AN_HOUR * JOBS_PRICE
        self.new_usd = self.old_usd * cost * off
        self.old_id, self.new_id = 10_000 + 2 * number, 10_001 + 2 * number
        self.update_id = f"{number:08x}-0000-4000-8000-000000000000"

    def runs(self, store: Store, retried: bool) -> None:
        def run(side: str, job: int, run_id: int, start: datetime, took: float, result: str) -> JobRunRecord:
            return JobRunRecord(
                side, job, run_id, self.number, "PERIODIC", "TERMINATED", result, "" if result == "SUCCESS" else "failed",
                start, start + timedelta(seconds=took), took, 2.0 + self.number % 3, f"{HOST}/jobs/{job}/runs/{run_id}",
                self.made_up,
            )  # fmt: skip

        found = [
            run("baseline", OLD_JOB, self.old_id, self.start, self.old_seconds, "SUCCESS"),
            run("candidate", NEW_JOB, self.new_id, self.start, self.new_seconds, "SUCCESS"),
        ]
        if retried:
            before = self.start - timedelta(minutes=20)
            found.append(run("candidate", NEW_JOB, self.new_id + 50_000, before, 60.0, "FAILED"))
        store.collected.put_runs(found)
        store.collected.put_updates(
            [
                UpdateRecord(
                    "pl-production", self.migration.production_pipeline.name, "production", self.update_id, "COMPLETED",
                    "JOB_TASK", False, False, (), self.start + timedelta(seconds=10),
                    self.start + timedelta(seconds=self.new_seconds - 10), self.new_seconds - 20, self.new_id,
                    f"{HOST}/pipelines/pl-production/updates/{self.update_id}", self.made_up,
                )
            ]
        )  # fmt: skip

    def bills(self, store: Store, retried: bool) -> None:
        def record(name: str, side: str, usd: float, price: float, run_id: int | None, update: bool) -> UsageRecord:
            job = OLD_JOB if side == "baseline" else NEW_JOB
            return UsageRecord(
                f"{name}-{self.number}", "ORIGINAL", side, None if update else job, run_id,
                "pl-production" if update else None, self.update_id if update else None,
                "PREMIUM_DLT_ADVANCED_COMPUTE" if update else "PREMIUM_JOBS_COMPUTE", usd / price, price, usd, self.start,
                self.start + timedelta(seconds=60), "DLT" if update else "JOBS", False, True, self.made_up,
            )  # fmt: skip

        attempt = 0.01 if retried else 0.0
        found = [
            record("old", "baseline", self.old_usd, JOBS_PRICE, self.old_id, False),
            record("new", "candidate", 0.4 * self.new_usd - attempt, JOBS_PRICE, self.new_id, False),
            record("update", "candidate", 0.6 * self.new_usd, PIPELINE_PRICE, None, True),
        ]
        if retried:
            found.append(record("attempt", "candidate", attempt, JOBS_PRICE, self.new_id + 50_000, False))
        store.collected.put_usage(found)


def _beside(store: Store, migration: Migration, at: datetime, bills: bool) -> None:
    """An update by hand, the pipeline's maintenance, and a bill without a price."""
    when = at - timedelta(hours=30)
    store.collected.put_updates(
        [
            UpdateRecord(
                "pl-production", migration.production_pipeline.name, "production", "by-hand", "COMPLETED", "USER_ACTION",
                False, False, (), when, when + timedelta(minutes=4), 240.0, None, f"{HOST}/pipelines/pl-production",
            )
        ]
    )  # fmt: skip
    if not bills:
        return

    def record(name: str, update: str | None, price: float | None) -> UsageRecord:
        return UsageRecord(
            name, "ORIGINAL", "candidate", None, None, "pl-production", update, "PREMIUM_DLT_ADVANCED_COMPUTE", 0.5,
            price, None if price is None else 0.5 * price, when, when + timedelta(minutes=4), "DLT", False, True,
            maintenance_id="m" if update is None else None,
        )  # fmt: skip

    store.collected.put_usage(
        [record("hand", "by-hand", PIPELINE_PRICE), record("care", None, PIPELINE_PRICE), record("odd", None, None)]
    )
