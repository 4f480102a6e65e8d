"""Rules over what exists: jobs, schedules, pipelines and tables."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from app.durations import duration
from app.moments import when
from app.progress.configuration import ConfigurationOf, of_job, of_pipeline
from app.progress.cutover import serves_all, standing_cutover, tables_as_of
from app.progress.evidence import Finding, pass_or_fail, unknown
from app.progress.facts import Facts
from app.progress.quartz import Schedule, compare
from app.progress.rules.base import not_seen, rule, unread, unread_since

MENTIONED = 3
"""Differences that a finding names; the page shows all."""


@rule
def pipeline_exists(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The pipeline of `environment` exists with the settings that the migration file requires."""
    name = next(p.name for p in facts.migration.pipelines if p.environment == params["environment"])
    if params["environment"] not in facts.snapshot.pipelines:
        return not_seen(facts, "pipelines", f"Pipeline {name} is not in the workspace")
    return _as_required(facts, of_pipeline(facts, params["environment"]))


@rule
def job_exists(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The job of `side` exists with the settings, tasks and parameters that the migration file requires."""
    if params["side"] not in facts.snapshot.schedules:
        return not_seen(facts, "schedules", f"The {params['side']} job is not in the workspace")
    return _as_required(facts, of_job(facts, params["side"]))


def _as_required(facts: Facts, found: ConfigurationOf) -> Finding:
    source = "settings"
    if found.as_of is None:
        return unknown(f"The settings of {found.name} have not been read", source)
    if outdated := unread_since(facts, found.as_of, f"The settings of {found.name}", source):
        return outdated
    if found.differences:
        each = "; ".join(f"{d.field} is {d.found}, required is {d.wanted}" for d in found.differences[:MENTIONED])
        more = len(found.differences) - MENTIONED
        text = f"{found.name} exists, but {each}" + (f"; and {more} more" if more > 0 else "")
        ids = (found.setting(d) for d in found.differences[:MENTIONED])
        return pass_or_fail(False, text, found.as_of, source, *ids)
    of = f"with the {len(found.fields)} settings that are required" if found.fields else "; no settings are required"
    return pass_or_fail(True, f"{found.name} exists {of}".replace(" ;", ";"), found.as_of, source, found.id)


@rule
def schedule_active(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The job of `job` (a side) has an unpaused schedule.

    offset_minutes: and it starts at least so long before or after the old job, never with it.
    """
    found = facts.snapshot.schedules.get(params["job"])
    if found is None:
        return not_seen(facts, "schedules", f"The {params['job']} job is not in the workspace")
    if outdated := unread_since(facts, found.as_of, f"The schedule of {found.name}", "jobs"):
        return outdated
    text = f"{found.name}: {found.quartz or 'no cron'} {found.timezone or ''}, {(found.pause_status or 'none').lower()}"
    least = params.get("offset_minutes")
    if found.pause_status != "UNPAUSED" or least is None:
        return pass_or_fail(found.pause_status == "UNPAUSED", text, found.as_of, "jobs")
    old = facts.snapshot.schedules.get("baseline")
    if old is None or not old.quartz or not found.quartz:
        return unknown(f"{text}; the schedule of the old job is not known", "jobs", found.as_of)
    try:
        apart = compare(
            Schedule(found.quartz, found.timezone or ""), Schedule(old.quartz, old.timezone or ""), facts.now
        ).nearest
    except ValueError as e:
        return unknown(str(e), "jobs", found.as_of)
    if apart is None:
        return pass_or_fail(False, f"{text}; one of the two jobs never starts", found.as_of, "jobs")
    distance = f"at least {duration(apart, 0)} from" if apart else "together with"
    text = f"{text}; starts {distance} {old.name}, required are {duration(least * 60)}"
    return pass_or_fail(apart >= least * 60, text, min(found.as_of, old.as_of), "jobs")


@rule
def consumers_known(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """Lineage was read within a day and shows who reads each of the tables (all, or those in `tables`).

    The jobs and pipelines of the migration itself are left out. The platform records a subset of events: a table
    without a consumer is INCONCLUSIVE, not unused.
    """
    if outdated := unread_since(facts, _lineage_read(facts), "Lineage", "lineage", timedelta(days=1)):
        return outdated
    own = {*(j.name for j in facts.migration.jobs.values()), *(p.name for p in facts.migration.pipelines)}
    seen: dict[str, set[tuple[str, str]]] = {}
    for c in facts.consumers:
        if c.name not in own:
            seen.setdefault(c.table, set()).add((c.kind, c.consumer_id))
    counts = {
        t.name: len(set().union(*(seen.get(n, set()) for n in (t.baseline, t.candidate, t.kept))))
        for t in facts.migration.tables
        if t.name in params.get("tables", [t.name])
    }
    text = "Consumers seen in 30 days: " + ", ".join(f"{t} {n}" for t, n in counts.items())
    if not all(counts.values()):
        return unknown(f"{text}; lineage records a part of all reads", "lineage", _lineage_read(facts))
    return pass_or_fail(True, text, _lineage_read(facts), "lineage")


def _lineage_read(facts: Facts) -> datetime | None:
    status = facts.snapshot.sources.get("lineage")
    return status.last_success if status is not None else None


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
    if outdated := unread_since(facts, as_of, "The tables", "tables"):
        return outdated
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
