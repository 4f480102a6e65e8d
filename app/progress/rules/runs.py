"""Rules over runs of the jobs and updates of the pipelines, by slot of the schedule where they are scheduled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise, takewhile
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

from app.durations import duration
from app.moments import when
from app.progress.adherence import Slot, TooMany, interval, slots
from app.progress.evidence import Finding, Status, pass_or_fail, unknown
from app.progress.facts import Facts
from app.progress.incidents import JOBS
from app.progress.rules.base import UNREAD, not_seen, rule, seconds, unread
from app.progress.shares import floored, lower_bound
from app.store.collected.records import JobRunRecord
from app.store.definitions import ScheduleState
from databricks_client.quartz import Cron, CronError, zone_of

UNSCHEDULED = timedelta(hours=24)
"""Age of a run that says nothing any more, where the job has no schedule."""


@rule
def update_completed(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The pipeline of `environment` has completed an update."""
    for update in facts.real_updates(params["environment"]):
        if update.state == "COMPLETED":
            text = f"Update {update.update_id} completed in {seconds(update.seconds)}"
            return pass_or_fail(True, text, update.end_time or update.start_time, "updates", update.update_id)
    return not_seen(facts, "updates", "No real update has completed")


@rule
def runs_succeeded(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The newest `runs` runs of `side` all succeeded; runs were read within `UNREAD`, and the newest one is recent."""
    if outdated := unread(facts, f"runs:{params['side']}", "Runs", "jobs/runs"):
        return outdated
    runs = facts.real_runs(params["side"])[: params["runs"]]
    if len(runs) < params["runs"]:
        return unknown(f"{len(runs)} of {params['runs']} real runs have ended", "jobs/runs")
    bad = [r for r in runs if r.result_state != "SUCCESS"]
    ids = tuple(str(r.run_id) for r in runs)
    if bad:
        return Finding(Status.FAIL, f"Run {bad[0].run_id} ended {bad[0].state}", bad[0].end_time, "jobs/runs", ids)
    if old := _too_old(facts, params["side"], runs[0]):
        return unknown(old, "jobs/runs", runs[0].end_time)
    text = "The last run succeeded" if len(runs) == 1 else f"The last {len(runs)} runs succeeded"
    repaired = sum(r.repairs > 0 for r in runs)
    text += f" ({repaired} after a repair)" if repaired else ""
    return Finding(Status.PASS, text, runs[0].end_time, "jobs/runs", ids)


@rule
def runs_per_day(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """Each slot of the new job's schedule in the last `days` whole days had a successful run, `per_day` slots a day.

    Days are those of the migration's zone; one of 23 hours has its share of the slots.
    """
    if outdated := unread(facts, "runs:candidate", "Runs", "jobs/runs"):
        return outdated
    states = _schedule(facts, "candidate")
    if not states:
        return not_seen(facts, "schedules", "The new job has no schedule")
    days, per_day = int(params["days"]), int(params["per_day"])
    if (fires := _firings(states[-1], facts.now, per_day)) < per_day:
        text = f"The new job's schedule starts {fires} runs a day, {per_day} are required"
        return pass_or_fail(False, text, facts.now, "jobs")
    bounds = _days(facts, days)
    runs = facts.runs_within("candidate", days + 2)
    read = facts.complete_until("runs:candidate")
    try:
        found = slots("candidate", states, runs, bounds[0], facts.now, facts.migration.health, read)
    except TooMany as e:
        return unknown(str(e), "jobs/runs")
    due = [s for s in found if s.due < bounds[-1]]
    if broken := [s for s in due if s.state.broken]:
        last = broken[-1]
        text = f"{len(broken)} of {len(due)} slots in {days} days had no successful run, the last at {when(last.due)}"
        ids = [str(s.run.run_id) for s in broken[-5:] if s.run is not None]
        return pass_or_fail(False, text, last.due, "jobs/runs", *ids)
    full = _full_days(due, bounds, per_day)
    text = f"{full} of {days} days with {per_day} slots, each with a successful run"
    if full < days:
        return unknown(text, "jobs/runs", facts.now)
    return pass_or_fail(True, text, max(s.due for s in due), "jobs/runs")


@rule
def no_incidents(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """No incident of either side is open or has evidence within `days` days, of which `observed_days` were observed.

    A day is observed where the worker looked for incidents and a run of the new job ended that was not cancelled.
    """
    days = int(params["days"])
    since = facts.now - timedelta(days=days)
    counted = [i for i in facts.incidents if i.open or i.last_at >= since]
    if counted:
        is_open = sum(i.open for i in counted)
        newest = max(counted, key=lambda i: (i.last_at, i.id))
        noun = "incident" if len(counted) == 1 else "incidents"
        text = f"{len(counted)} {noun} in {days} days, {is_open} open; the newest: {newest.summary}"
        return pass_or_fail(False, text, newest.last_at, "incidents", *(f"incident {i.id}" for i in counted[:5]))
    if outdated := unread(facts, "runs:baseline", "Runs", "jobs/runs") or unread(
        facts, "runs:candidate", "Runs", "jobs/runs"
    ):
        return outdated
    wanted = int(params.get("observed_days", days))
    seen = _observed_days(facts, days)
    if seen < wanted:
        return unknown(f"No incident, but only {seen} of {wanted} days are observed", "incidents", facts.now)
    assert facts.watch is not None  # A day is observed only then.
    return pass_or_fail(True, f"No incident in {days} days, {seen} of them observed", facts.watch.until, "incidents")


@rule
def reliability(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """At least `minimum` of the pipeline's updates within `days` days completed, of at least `updates`.

    Cancelled ones do not count. With fewer updates it fails only once the minimum is out of reach. The share decides;
    the sentence adds what so many updates prove.
    """
    if outdated := unread(facts, f"updates:{params['environment']}", "Updates", "updates"):
        return outdated
    minimum, wanted = float(params["minimum"]), int(params["updates"])
    updates = [u for u in facts.updates_within(params["environment"], params["days"]) if u.state != "CANCELED"]
    if not updates:
        return unknown("No real update has ended yet", "updates")
    good = sum(1 for u in updates if u.state == "COMPLETED")
    bad, total = len(updates) - good, len(updates)
    text = f"{good:,} of {total:,} updates completed in {params['days']} days ({floored(good, total)})"
    as_of = max(u.end_time or u.start_time for u in updates)
    failed = [u.update_id for u in updates if u.state != "COMPLETED"][:5]
    if bad > (1 - minimum) * max(total, wanted) + 1e-9:
        return pass_or_fail(False, f"{text}, fewer than {100 * minimum:.6g} %", as_of, "updates", *failed)
    if total < wanted:
        return unknown(f"{text}; {wanted:,} updates are needed", "updates", as_of)
    proven = f"{int(1000 * lower_bound(good, total)) / 10:.1f} %"
    return pass_or_fail(True, f"{text}; with 95 % confidence at least {proven} of all do", as_of, "updates", *failed)


@rule
def reports_delivered(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The tasks `tasks` of the newest run of `side` succeeded, and that run is recent.

    Without `side`: of the new job, and of the old job too unless its schedule is paused. `max_age_hours`: by default
    twice the interval of the job's schedule.
    """
    old = _schedule(facts, "baseline")
    both = bool(old) and old[-1].active
    sides = [params["side"]] if "side" in params else ["candidate", *(["baseline"] if both else [])]
    found = [_reports_of(facts, side, params) for side in sides]
    worst = next((f for s in (Status.FAIL, Status.INCONCLUSIVE) for f in found if f.status is s), None)
    if worst is not None:
        return worst
    ids = tuple(r for f in found for r in f.references)
    times = [f.as_of for f in found if f.as_of is not None]
    text = f"{len(params['tasks'])} report tasks of {' and '.join(JOBS[s] for s in sides)} succeeded"
    return Finding(Status.PASS, text, min(times, default=None), "jobs/runs", ids)


def _reports_of(facts: Facts, side: str, params: Mapping[str, Any]) -> Finding:
    if outdated := unread(facts, f"runs:{side}", "Runs", "jobs/runs"):
        return outdated
    runs = facts.real_runs(side)
    if not runs:
        return unknown(f"No real run of {JOBS[side]} has ended yet", "jobs/runs")
    newest = runs[0]
    if old := _too_old(facts, side, newest, params.get("max_age_hours")):
        return unknown(old, "jobs/runs", newest.end_time)
    states = {t.task_key: t.state for t in facts.tasks.get(newest.run_id, ())}
    if not states:
        return unknown(f"The tasks of run {newest.run_id} are not read yet", "jobs/runs", newest.end_time)
    bad = [f"{k}: {states.get(k, 'no such task')}" for k in params["tasks"] if states.get(k) != "SUCCESS"]
    text = f"Reports of {JOBS[side]}: {', '.join(bad)}" if bad else "succeeded"
    return pass_or_fail(not bad, text, newest.end_time, "jobs/runs", str(newest.run_id))


def _too_old(facts: Facts, side: str, run: JobRunRecord, max_age_hours: float | None = None) -> str | None:
    """Why the newest run of a side says nothing any more; None while it does."""
    limit = UNSCHEDULED if max_age_hours is None else timedelta(hours=max_age_hours)
    states = _schedule(facts, side)
    if max_age_hours is None and states and (every := interval(states[-1].quartz, states[-1].timezone, facts.now)):
        limit = every * facts.migration.health.fresh_intervals
    ended = run.end_time or run.start_time
    if facts.now - ended <= limit:
        return None
    age, recent = duration(facts.now - ended), duration(limit)
    return f"The last run of {JOBS[side]} ended {age} ago; a run counts as recent for {recent}"


def _schedule(facts: Facts, side: str) -> Sequence[ScheduleState]:
    """The schedule as it was observed; as it is, where nothing is recorded yet; empty where there is none."""
    observed = facts.schedules.get(side)
    if observed:
        return observed if observed[-1].quartz else ()
    now = facts.snapshot.schedules.get(side)
    if now is None or not now.quartz:
        return ()
    return [ScheduleState(now.as_of, now.quartz, now.timezone, now.pause_status == "UNPAUSED")]


def _firings(state: ScheduleState, now: datetime, most: int) -> int:
    """How often a schedule fires within 24 hours, counted up to `most`; 0 where it cannot be read."""
    try:
        moments = Cron.parse(state.quartz or "").moments(now, zone_of(state.timezone or "UTC"))
    except CronError:
        return 0
    within = takewhile(lambda at: at <= now + timedelta(hours=24), moments)
    return sum(1 for _, _ in zip(range(most), within, strict=False))


def _days(facts: Facts, days: int) -> list[datetime]:
    """The midnights of the migration's zone around its last `days` whole days."""
    zone = ZoneInfo(facts.migration.timezone)
    today = facts.now.astimezone(zone).date()

    def midnight(day: date) -> datetime:
        return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)

    return [midnight(today - timedelta(days=n)) for n in range(days, -1, -1)]


def _full_days(due: Sequence[Slot], bounds: Sequence[datetime], per_day: int) -> int:
    full = 0
    for start, end in pairwise(bounds):
        hours = (end - start).total_seconds() / 3600
        wanted = per_day if hours >= 24 else int(per_day * hours / 24)
        mine = [s for s in due if start <= s.due < end]
        full += len(mine) >= wanted and all(s.state.served for s in mine)
    return full


def _observed_days(facts: Facts, days: int) -> int:
    """Of the last `days` times 24 hours those that the worker watched whole and in which a run of the new job ended."""
    watch = facts.watch
    if watch is None or facts.now - watch.until > UNREAD:
        return 0
    ends = [r.end_time for r in facts.runs_within("candidate", days + 1) if r.end_time and r.state != "CANCELED"]
    ages = {max(1, ceil((facts.now - end) / timedelta(days=1))) for end in ends}
    watched = (facts.now - watch.since) / timedelta(days=1)
    return sum(1 for n in range(1, days + 1) if n in ages and n <= watched)
