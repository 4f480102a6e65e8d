"""Rules over what exists: jobs, schedules, pipelines and tables."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from app.moments import when
from app.progress.evidence import Finding, pass_or_fail, unknown
from app.progress.facts import Facts
from app.progress.rules.base import not_seen, rule


@rule
def pipeline_exists(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The pipeline of `environment` exists in the workspace."""
    name = next(p.name for p in facts.migration.pipelines if p.environment == params["environment"])
    found = facts.snapshot.pipelines.get(params["environment"])
    if found is None:
        return not_seen(facts, "pipelines", f"Pipeline {name} is not in the workspace")
    return pass_or_fail(
        True, f"{found.name} is {(found.state or 'in an unknown state').lower()}", found.as_of, "pipelines"
    )


@rule
def job_exists(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The job of `side` exists in the workspace."""
    found = facts.snapshot.schedules.get(params["side"])
    if found is None:
        return not_seen(facts, "schedules", f"The {params['side']} job is not in the workspace")
    return pass_or_fail(True, f"{found.name}: {(found.pause_status or 'no schedule').lower()}", found.as_of, "jobs")


@rule
def schedule_active(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The job of `job` (a side) has an unpaused schedule."""
    found = facts.snapshot.schedules.get(params["job"])
    if found is None:
        return not_seen(facts, "schedules", f"The {params['job']} job is not in the workspace")
    active = found.pause_status == "UNPAUSED"
    text = f"{found.name}: {found.quartz or 'no cron'} {found.timezone or ''}, {(found.pause_status or 'none').lower()}"
    return pass_or_fail(active, text, found.as_of, "jobs")


@rule
def tables_exist(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The tables (all, or those in `tables`) of `side` exist."""
    wanted = [t for t in facts.migration.tables if t.name in params.get("tables", [t.name])]
    names = [n for t in wanted if (n := getattr(t, params["side"]))]
    records = [facts.snapshot.tables.get(n) for n in names]
    if any(r is None for r in records):
        return not_seen(facts, "tables", "Not every table has been collected yet")
    missing = [r.name for r in records if r is not None and not r.exists]
    as_of = min((r.as_of for r in records if r is not None), default=None)
    if missing:
        return pass_or_fail(False, f"Missing: {', '.join(missing)}", as_of, "tables")
    return pass_or_fail(True, f"{len(names)} of {len(names)} tables exist", as_of, "tables")


@rule
def kept_tables_gone(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The old tables were deleted, `days` after cutover at the earliest."""
    cutover = facts.verified.get("cutover")
    if cutover is None or cutover.ended_at is None:
        return unknown("No cutover has been verified yet", "operations")
    left = [t.kept for t in facts.migration.tables if (r := facts.snapshot.tables.get(t.kept)) is None or r.exists]
    due = cutover.ended_at + timedelta(days=params["days"])
    if left:
        state = "may be deleted now" if facts.now >= due else f"are kept until {when(due)}"
        return pass_or_fail(False, f"{len(left)} old tables {state}", facts.now, "tables")
    return pass_or_fail(True, "All old tables are gone", facts.now, "tables")
