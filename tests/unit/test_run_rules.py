"""Rules over runs and updates: what passes, fails, is missing, is stale, each with the sentence that it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.config.migration import DEFAULT_MIGRATION, Evidence, Migration
from app.parity.streak import Streak
from app.progress.evidence import Finding, Status
from app.progress.facts import DAYS, Facts, load_facts, window_days
from app.progress.judge import judge
from app.progress.shares import floored, lower_bound
from app.store.collected.records import (
    JobRunRecord,
    ScheduleRecord,
    Snapshot,
    SourceStatus,
    TaskRunRecord,
    UpdateRecord,
)
from app.store.definitions import ScheduleState
from app.store.incidents import Incident, Watch
from app.store.open import Store
from tests.support.health_records import QUARTZ, ZONE, job_run, pipeline_update

MIGRATION = Migration.load(DEFAULT_MIGRATION)
NOW = datetime(2026, 3, 20, 16, tzinfo=UTC)
"""Noon in New York, twelve days after its clocks went forward."""
READ = ("runs:baseline", "runs:candidate", "updates:production", "schedules")


def ago(**how: float) -> datetime:
    return NOW - timedelta(**how)


def facts(
    runs: Sequence[JobRunRecord] = (),
    updates: Sequence[UpdateRecord] = (),
    *,
    unread_minutes: float = 0.0,
    schedules: dict[str, ScheduleRecord] | None = None,
    backlog: str | None = None,
    **more: Any,
) -> Facts:
    read = ago(minutes=unread_minutes)
    sources = {n: SourceStatus(n, read, read, None, 0, 15.0, backlog) for n in READ}
    newest_first = sorted(runs, key=lambda r: r.start_time, reverse=True)
    of_updates = sorted(updates, key=lambda u: u.start_time, reverse=True)
    snapshot = Snapshot(sources, schedules or {}, {}, {}, tuple(newest_first), tuple(of_updates))
    values: dict[str, Any] = {
        "now": NOW, "migration": MIGRATION, "snapshot": snapshot, "tasks": {}, "expectations": {},
        "parity": {"production": {}, "development": {}}, "final_parity": {"production": {}, "development": {}},
        "streaks": {p: Streak() for p in ("production", "development")}, "schema_differences": {}, "ticks": {},
        "verified": {},
    }  # fmt: skip
    return Facts(**{**values, **more})


def said(kind: str, found: Facts, **params: Any) -> Finding:
    return judge(Evidence(kind=kind, params=params), found)


def test_a_window_that_is_longer_than_what_is_read_has_the_rest_read_for_it(store: Store) -> None:
    data = MIGRATION.model_dump(mode="json")
    reliable = next(m for m in data["metrics"] if m["key"] == "m_reliability")
    reliable["evidence"]["params"] |= {"days": 40, "updates": 2}
    longer = Migration.model_validate(data)
    assert (window_days(MIGRATION), window_days(longer)) == (DAYS, 41)
    store.collected.put_updates([pipeline_update("old", ago(days=35)), pipeline_update("new", ago(hours=1))])
    store.collected.source_succeeded("updates:production", NOW, 15)
    params = {"environment": "production", "minimum": 0.999, "days": 40, "updates": 2}
    assert said("reliability", load_facts(store, longer, NOW), **params).status is Status.PASS
    assert said("reliability", load_facts(store, MIGRATION, NOW), **params).status is Status.INCONCLUSIVE


# -- reliability ---------------------------------------------------------------------------------------------------------


def reliable(good: int, bad: int = 0, updates: int = 50, minimum: float = 0.999, **more: Any) -> Finding:
    found = [pipeline_update(f"g{n}", ago(minutes=10 * n + 10)) for n in range(good)]
    found += [pipeline_update(f"b{n}", ago(minutes=10 * n + 11), "FAILED") for n in range(bad)]
    params = {"environment": "production", "minimum": minimum, "days": 14, "updates": updates}
    return said("reliability", facts(updates=found, **more), **params)


def test_one_update_is_no_reliability() -> None:
    one = reliable(1)
    assert (one.status, one.summary) == (
        Status.INCONCLUSIVE, "1 of 1 updates completed in 14 days (100 %); 50 updates are needed",
    )  # fmt: skip


def test_799_of_800_are_not_printed_as_what_they_miss() -> None:
    failed = reliable(799, 1)
    assert failed.status is Status.FAIL
    assert failed.summary == "799 of 800 updates completed in 14 days (99.8 %), fewer than 99.9 %"
    assert failed.references == ("b0",)


def test_enough_completed_updates_pass_and_say_what_they_prove() -> None:
    passed = reliable(56)
    assert passed.status is Status.PASS
    assert passed.summary == (
        "56 of 56 updates completed in 14 days (100 %); with 95 % confidence at least 94.7 % of all do"
    )
    assert reliable(999, 1).status is Status.PASS


def test_it_fails_as_soon_as_the_minimum_is_out_of_reach() -> None:
    assert reliable(3, 1).status is Status.FAIL
    assert reliable(3, 1, updates=10, minimum=0.9).status is Status.INCONCLUSIVE
    assert reliable(9, 1, updates=10, minimum=0.9).status is Status.PASS


def test_what_does_not_count_is_no_update() -> None:
    others = [
        pipeline_update("c", ago(hours=1), "CANCELED"),
        pipeline_update("v", ago(hours=1), "FAILED", validate_only=True),
        pipeline_update("g", ago(hours=1), "FAILED", generated=True),
        pipeline_update("o", ago(days=15), "FAILED"),
    ]
    params = {"environment": "production", "minimum": 0.999, "days": 14, "updates": 1}
    assert said("reliability", facts(updates=others), **params).summary == "No real update has ended yet"


def test_updates_that_are_not_read_any_more_prove_nothing() -> None:
    stale = reliable(56, unread_minutes=16)
    assert stale.status is Status.INCONCLUSIVE and "have not been read since" in stale.summary


@pytest.mark.parametrize(
    ("good", "total", "expected"),
    [(3, 3, 0.3684), (56, 56, 0.9479), (2995, 2995, 0.9990), (0, 5, 0.0), (9, 10, 0.6058)],
)
def test_what_counts_prove(good: int, total: int, expected: float) -> None:
    assert lower_bound(good, total) == pytest.approx(expected, abs=1e-4)


def test_a_share_is_rounded_down() -> None:
    assert [floored(*x) for x in ((799, 800), (1, 1), (9999, 10000), (0, 7))] == ["99.8 %", "100 %", "99.9 %", "0 %"]


# -- runs by slot --------------------------------------------------------------------------------------------------------

OBSERVED = {"candidate": [ScheduleState(ago(days=60), QUARTZ, ZONE, True)]}


def on_schedule(days: int = 20) -> list[JobRunRecord]:
    """A successful run two seconds after each slot of New York's wall clock."""
    runs = []
    for n in range(days + 1):
        day = (NOW - timedelta(days=n)).astimezone(ZoneInfo(ZONE))
        for hour in (5, 11, 17, 23):
            start = day.replace(hour=hour, minute=0, second=57).astimezone(UTC)
            if start < NOW:
                runs.append(job_run("candidate", 10 * n + hour, start))
    return runs


def per_day(found: Facts, per_day: int = 4, days: int = 14) -> Finding:
    return said("runs_per_day", found, per_day=per_day, days=days)


def slot_facts(runs: Sequence[JobRunRecord], states: Any = None, **more: Any) -> Facts:
    return replace(facts(runs, **more), schedules=OBSERVED if states is None else states)


def test_every_slot_of_two_weeks_was_served_though_the_clocks_changed() -> None:
    passed = per_day(slot_facts(on_schedule()))
    assert (passed.status, passed.summary) == (Status.PASS, "14 of 14 days with 4 slots, each with a successful run")


def test_a_slot_without_a_success_fails_and_is_named_with_its_time() -> None:
    runs = on_schedule()
    gap = [r for r in runs if r.start_time.date() != ago(days=3).date()]
    failed = per_day(slot_facts(gap))
    assert failed.status is Status.FAIL
    assert failed.summary == "4 of 56 slots in 14 days had no successful run, the last at 2026-03-17T21:00Z"


def test_four_manual_runs_in_24_minutes_are_not_four_a_day() -> None:
    manual = [
        job_run("candidate", 100 * d + n, start + timedelta(minutes=8 * n), trigger="ONE_TIME")
        for d in range(1, 16)
        for start in [(NOW - timedelta(days=d)).astimezone(ZoneInfo(ZONE)).replace(hour=5, minute=1).astimezone(UTC)]
        for n in range(4)
    ]
    failed = per_day(slot_facts(manual))
    assert failed.status is Status.FAIL and failed.summary.startswith("42 of 56 slots")


def test_a_young_schedule_or_one_that_starts_too_rarely_does_not_pass() -> None:
    young = {"candidate": [ScheduleState(ago(days=5), QUARTZ, ZONE, True)]}
    started = [r for r in on_schedule() if r.start_time > ago(days=5)]
    waiting = per_day(slot_facts(started, young))
    assert waiting.status is Status.INCONCLUSIVE and waiting.summary.startswith("4 of 14 days")
    rarely = {"candidate": [ScheduleState(ago(days=60), "0 0 6,12,18 * * ?", ZONE, True)]}
    failed = per_day(slot_facts(on_schedule(), rarely))
    assert failed.summary == "The new job's schedule starts 3 runs a day, 4 are required"


def test_while_it_is_paused_nothing_is_missed_and_nothing_proven() -> None:
    paused = {"candidate": [*OBSERVED["candidate"], ScheduleState(ago(days=6), QUARTZ, ZONE, False)]}
    found = per_day(slot_facts([r for r in on_schedule() if r.start_time < ago(days=6)], paused))
    assert found.status is Status.INCONCLUSIVE


def test_generated_unread_and_unscheduled_runs_are_not_counted() -> None:
    made_up = [job_run("candidate", r.run_id, r.start_time, generated=True) for r in on_schedule()]
    assert per_day(slot_facts(made_up)).status is Status.FAIL
    assert per_day(slot_facts(on_schedule(), unread_minutes=16)).status is Status.INCONCLUSIVE
    assert per_day(slot_facts(made_up, backlog="older")).status is Status.INCONCLUSIVE, "older runs are still to come"
    unscheduled = per_day(slot_facts(on_schedule(), {}))
    assert unscheduled.status is Status.FAIL and unscheduled.summary == "The new job has no schedule"


# -- last runs and reports -----------------------------------------------------------------------------------------------


def scheduled(side: str, status: str = "UNPAUSED") -> ScheduleRecord:
    return ScheduleRecord(side, 1, side, "schedule", QUARTZ, ZONE, status, "", NOW)


def test_the_last_run_counts_until_two_intervals_have_passed() -> None:
    def judged(hours: float, **more: Any) -> Finding:
        return said(
            "runs_succeeded", facts([job_run("candidate", 1, ago(hours=hours))], **more), side="candidate", runs=1
        )

    six_hours = {"schedules": {"candidate": scheduled("candidate", "PAUSED")}}
    assert judged(12, **six_hours).status is Status.PASS
    stale = judged(13.1, **six_hours)
    assert (stale.status, stale.summary) == (
        Status.INCONCLUSIVE, "The last run of the new job ended 13 h ago; a run counts as recent for 12 h",
    )  # fmt: skip
    assert judged(13).status is Status.PASS, "without a schedule a day is recent"
    assert judged(25).status is Status.INCONCLUSIVE


TASKS = ("email", "report")


def delivered(
    hours: float, *, old: str | None = None, states: Sequence[str] = ("SUCCESS", "SUCCESS"), **params: Any
) -> Finding:
    runs = [job_run("candidate", 1, ago(hours=hours)), job_run("baseline", 2, ago(hours=50))]
    tasks = {
        n: [TaskRunRecord(n, k, n, s, None, None, 1.0, None) for k, s in zip(TASKS, states, strict=True)]
        for n in (1, 2)
    }
    schedules = {"candidate": scheduled("candidate")} | ({"baseline": scheduled("baseline", old)} if old else {})
    return said("reports_delivered", facts(runs, schedules=schedules, tasks=tasks), tasks=TASKS, **params)


def test_reports_of_a_recent_run_are_delivered_and_those_of_three_weeks_ago_are_not() -> None:
    assert delivered(1).status is Status.PASS
    assert delivered(21 * 24).status is Status.INCONCLUSIVE
    assert delivered(20, max_age_hours=21).status is Status.PASS
    assert delivered(20).status is Status.INCONCLUSIVE


def test_a_report_that_failed_or_is_missing_is_not_delivered() -> None:
    failed = delivered(1, states=("SUCCESS", "FAILED"))
    assert (failed.status, failed.summary) == (Status.FAIL, "Reports of the new job: report: FAILED")
    without = said("reports_delivered", facts([job_run("candidate", 1, ago(hours=1))]), tasks=TASKS)
    assert without.status is Status.INCONCLUSIVE


def test_the_old_jobs_reports_count_while_it_is_scheduled() -> None:
    assert delivered(1, old="UNPAUSED").status is Status.INCONCLUSIVE, "its last run ended 50 hours ago"
    assert delivered(1, old="PAUSED").status is Status.PASS
    assert delivered(1, old="UNPAUSED", side="candidate").status is Status.PASS


# -- incidents -----------------------------------------------------------------------------------------------------------


def daily(days: int = 14, **more: Any) -> list[JobRunRecord]:
    return [job_run("candidate", n, ago(days=n, hours=2), **more) for n in range(days)]


def calm(
    runs: Sequence[JobRunRecord], *incidents: Incident, watched: float = 20, until: datetime = NOW, **more: Any
) -> Finding:
    params = {k: more.pop(k) for k in ("observed_days",) if k in more}
    watch = Watch(NOW - timedelta(days=watched), until) if watched else None
    return said("no_incidents", facts(runs, incidents=incidents, watch=watch, **more), days=14, **params)


def incident(days: float, closed: bool = True, side: str = "baseline") -> Incident:
    at = ago(days=days)
    return Incident(
        3, "failure", side, side, at, at, at, "Run 7 ended FAILED", NOW if closed else None, "e", False, "x"
    )


def test_two_calm_weeks_that_were_observed_pass() -> None:
    passed = calm(daily())
    assert (passed.status, passed.summary) == (Status.PASS, "No incident in 14 days, 14 of them observed")


def test_one_cancelled_run_is_no_observation() -> None:
    cancelled = calm([job_run("candidate", 1, ago(hours=2), "CANCELED")])
    assert (cancelled.status, cancelled.summary) == (
        Status.INCONCLUSIVE, "No incident, but only 0 of 14 days are observed",
    )  # fmt: skip


def test_an_incident_of_the_old_side_counts_and_an_open_one_whatever_its_age() -> None:
    failed = calm(daily(), incident(2))
    assert failed.status is Status.FAIL and failed.references == ("incident 3",)
    assert failed.summary == "1 incident in 14 days, 0 open; the newest: Run 7 ended FAILED"
    assert calm(daily(), incident(20, closed=False)).status is Status.FAIL
    assert calm(daily(), incident(20)).status is Status.PASS


def test_days_before_the_watch_or_without_runs_or_after_the_last_look_are_not_observed() -> None:
    assert calm(daily(), watched=10).status is Status.INCONCLUSIVE
    assert calm(daily(9)).status is Status.INCONCLUSIVE
    assert calm(daily(9), observed_days=9).status is Status.PASS
    assert calm(daily(), watched=0).status is Status.INCONCLUSIVE
    assert calm(daily(), until=ago(minutes=16)).status is Status.INCONCLUSIVE
    assert calm(daily(), unread_minutes=16).status is Status.INCONCLUSIVE
    assert calm(daily(generated=True)).status is Status.INCONCLUSIVE
