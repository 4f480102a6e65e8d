"""Rules over what exists: jobs, schedules, pipelines and tables."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from app.moments import when
from app.progress.cutover import serves_all, standing_cutover, tables_as_of
from app.progress.evidence import Finding, pass_or_fail, unknown
from app.progress.facts import Facts
from app.progress.rules.base import not_seen, rule, unread


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
    """The old tables were deleted `days` days after the cutover that holds, and the new side serves every table.

    Until then they are the backup: deleted earlier they are a failure. After a rollback their names are gone because
    the tables have their own names again.
    """
    cutover = standing_cutover(facts)
    if isinstance(cutover, Finding):
        return cutover
    kept = [t.kept for t in facts.migration.tables]
    if (other := serves_all(facts)) is not None:
        return other
    if outdated := unread(facts, "tables", "The tables", "tables"):
        return outdated
    as_of = tables_as_of(facts, kept)
    left = [n for n in kept if facts.snapshot.tables[n].exists]
    due = (cutover.ended_at or facts.now) + timedelta(days=params["days"])
    if facts.now >= due:
        gone = f"All {len(kept)} old tables are gone"
        text = f"{len(left)} of {len(kept)} old tables may be deleted since {when(due)}" if left else gone
        return pass_or_fail(not left, text, as_of, "tables", cutover.id)
    if len(left) == len(kept):
        return unknown(f"The {len(kept)} old tables are kept until {when(due)}", "tables", as_of)
    early = ", ".join(n for n in kept if n not in left)
    return pass_or_fail(False, f"Deleted before {when(due)}, until when they are the backup: {early}", as_of, "tables")
