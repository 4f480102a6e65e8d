"""Rules over both schedules and over executed operations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.progress import quartz
from app.progress.evidence import Finding, pass_or_fail, unknown
from app.progress.facts import Facts
from app.progress.rules.base import not_seen, rule
from app.progress.serving import serving_side


@rule
def schedules_agree(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """Old and new job fire at the same times of the same zone: otherwise parity is skewed by time."""
    old, new = facts.snapshot.schedules.get("baseline"), facts.snapshot.schedules.get("candidate")
    if old is None or new is None:
        return not_seen(facts, "schedules", "A schedule has not been read")
    as_of = min(old.as_of, new.as_of)
    if not old.quartz or not new.quartz:
        return unknown("A job has no cron schedule", "jobs", as_of)
    try:
        compared = quartz.compare(
            quartz.Schedule(old.quartz, old.timezone or ""), quartz.Schedule(new.quartz, new.timezone or ""), facts.now
        )
    except ValueError as e:
        return unknown(str(e), "jobs", as_of)
    if compared.agree:
        return pass_or_fail(True, f"Both: {old.quartz} {old.timezone}", as_of, "jobs")
    zones = "" if old.timezone == new.timezone else f", in the time zones {old.timezone} and {new.timezone}"
    if not compared.offsets:
        return pass_or_fail(False, f"A job fires never: {old.quartz} and {new.quartz}{zones}", as_of, "jobs")
    text = (
        f"{compared.baseline_per_day:.3g} against {compared.candidate_per_day:.3g} runs a day, "
        f"up to {compared.furthest / 60:.0f} min apart{zones}"
    )
    return pass_or_fail(False, text, as_of, "jobs")


@rule
def operation_verified(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """An operation of the kind `operation` was executed and verified; a cutover that was rolled back does not count."""
    found = facts.verified.get(params["operation"])
    if found is None:
        word = {"rehearse": "rehearsal"}.get(params["operation"], params["operation"])
        return unknown(f"No {word} has been verified", "operations")
    rollback = facts.verified.get("rollback")
    if (
        params["operation"] == "cutover"
        and rollback
        and (rollback.ended_at or facts.now) > (found.ended_at or facts.now)
    ):
        return pass_or_fail(
            False, f"Rolled back by {rollback.requested_by}", rollback.ended_at, "operations", rollback.id
        )
    return pass_or_fail(True, f"Verified, requested by {found.requested_by}", found.ended_at, "operations", found.id)


@rule
def days_since_cutover(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """`days` days have passed since a cutover, and the new side still serves every table."""
    cutover = facts.verified.get("cutover")
    if cutover is None or cutover.ended_at is None:
        return unknown("No cutover has been verified yet", "operations")
    if any(serving_side(t, facts.snapshot.tables).side != "candidate" for t in facts.migration.tables):
        return pass_or_fail(False, "The new side does not serve every table", facts.now, "tables")
    days = (facts.now - cutover.ended_at).total_seconds() / 86400
    text = f"{days:.1f} of {params['days']} days since cutover"
    return pass_or_fail(True, text, facts.now, "operations") if days >= params["days"] else unknown(text, "operations")
