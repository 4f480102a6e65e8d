"""Rules over runs of the jobs and updates of the pipelines."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from app.progress.evidence import Finding, Status, pass_or_fail, unknown
from app.progress.facts import Facts
from app.progress.rules.base import not_seen, rule, seconds, unread


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
    """The newest `runs` runs of `side` all succeeded, and runs were read within `UNREAD`."""
    if outdated := unread(facts, f"runs:{params['side']}", "Runs", "jobs/runs"):
        return outdated
    runs = facts.real_runs(params["side"])[: params["runs"]]
    if len(runs) < params["runs"]:
        return unknown(f"{len(runs)} of {params['runs']} real runs have ended", "jobs/runs")
    bad = [r for r in runs if r.result_state != "SUCCESS"]
    ids = tuple(str(r.run_id) for r in runs)
    if bad:
        return Finding(Status.FAIL, f"Run {bad[0].run_id} ended {bad[0].state}", bad[0].end_time, "jobs/runs", ids)
    text = "The last run succeeded" if len(runs) == 1 else f"The last {len(runs)} runs succeeded"
    return Finding(Status.PASS, text, runs[0].end_time, "jobs/runs", ids)


@rule
def runs_per_day(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The candidate succeeded `per_day` times on each of the last `days` whole days, in the migration's zone."""
    zone = ZoneInfo(facts.migration.timezone)
    today = facts.now.astimezone(zone).date()
    counts = {today - timedelta(days=n): 0 for n in range(1, params["days"] + 1)}
    runs = [r for r in facts.real_runs("candidate") if r.result_state == "SUCCESS"]
    for run in runs:
        day = run.start_time.astimezone(zone).date()
        if day in counts:
            counts[day] += 1
    full = sum(1 for n in counts.values() if n >= params["per_day"])
    text = f"{full} of {params['days']} days with {params['per_day']} successful runs"
    if full == params["days"]:
        return pass_or_fail(True, text, runs[0].end_time, "jobs/runs")
    oldest = min((r.start_time for r in facts.real_runs("candidate")), default=None)
    waiting = oldest is None or (facts.now - oldest) < timedelta(days=params["days"] + 1)
    return unknown(text, "jobs/runs", facts.now) if waiting else pass_or_fail(False, text, facts.now, "jobs/runs")


@rule
def no_failed_runs(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """No run of `side` failed within `days` days, and there were runs."""
    since = facts.now - timedelta(days=params["days"])
    runs = [r for r in facts.real_runs(params["side"]) if r.start_time >= since]
    bad = [r for r in runs if r.result_state not in ("SUCCESS", "CANCELED")]
    if not runs:
        return unknown("No real run has ended yet", "jobs/runs")
    text = f"{len(bad)} of {len(runs)} runs failed in {params['days']} days"
    return pass_or_fail(not bad, text, runs[0].end_time, "jobs/runs", *(str(r.run_id) for r in bad[:5]))


@rule
def reliability(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """At least `minimum` of the pipeline's updates within `days` days completed; cancelled ones do not count."""
    since = facts.now - timedelta(days=params["days"])
    updates = [u for u in facts.real_updates(params["environment"]) if u.start_time >= since and u.state != "CANCELED"]
    if not updates:
        return unknown("No real update has ended yet", "updates")
    share = sum(1 for u in updates if u.state == "COMPLETED") / len(updates)
    text = f"{share:.1%} of {len(updates)} updates completed"
    as_of = updates[0].end_time or updates[0].start_time
    return pass_or_fail(share >= params["minimum"], text, as_of, "updates")


@rule
def reports_delivered(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The tasks `tasks` of the newest run of `side` succeeded."""
    runs = facts.real_runs(params["side"])
    if not runs:
        return unknown("No real run has ended yet", "jobs/runs")
    states = {t.task_key: t.state for t in facts.tasks.get(runs[0].run_id, ())}
    bad = [k for k in params["tasks"] if states.get(k) != "SUCCESS"]
    if bad:
        text = ", ".join(f"{k}: {states.get(k, 'no such task')}" for k in bad)
        return pass_or_fail(False, text, runs[0].end_time, "jobs/runs", str(runs[0].run_id))
    text = f"{len(params['tasks'])} report tasks succeeded"
    return pass_or_fail(True, text, runs[0].end_time, "jobs/runs", str(runs[0].run_id))
