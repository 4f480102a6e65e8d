"""Rules over both schedules and over executed operations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.durations import duration
from app.moments import when
from app.progress import quartz
from app.progress.cutover import serves_all, standing_cutover
from app.progress.evidence import Finding, Status, pass_or_fail, unknown
from app.progress.facts import Facts
from app.progress.rehearsed import lacking
from app.progress.rules.base import not_seen, rule, unread, unread_since
from app.store.operations import OperationRecord, State


@rule
def schedules_agree(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """Old and new job fire at the same times of the same zone: otherwise parity is skewed by time."""
    old, new = facts.snapshot.schedules.get("baseline"), facts.snapshot.schedules.get("candidate")
    if old is None or new is None:
        return not_seen(facts, "schedules", "A schedule has not been read")
    as_of = min(old.as_of, new.as_of)
    if outdated := unread_since(facts, as_of, "The schedules", "jobs"):
        return outdated
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
        f"up to {duration(compared.furthest, 0)} apart{zones}"
    )
    return pass_or_fail(False, text, as_of, "jobs")


@rule
def operation_verified(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The newest operation of the kind `operation` was executed and verified; a cutover also holds until now, an
    archive belongs to such a cutover and was not taken back.

    A rehearsal counts only with every table, both ways, and `share` of each table's rows (default: all).
    """
    kind = params["operation"]
    if kind == "cutover":
        cutover = standing_cutover(facts)
        return cutover if isinstance(cutover, Finding) else _verified(cutover)
    word = {"rehearse": "rehearsal"}.get(kind, kind)
    newest = facts.started.get(kind)
    if kind == "archive" and (found := _not_archived(facts)) is not None:
        return found
    if newest is None:
        return unknown(f"No {word} has been verified", "operations")
    if newest.state is State.VERIFIED:
        if kind == "rehearse":
            known, problem = lacking(newest.plan, facts.migration, params.get("share") or 1.0)
            if problem:
                status = Status.FAIL if known else Status.INCONCLUSIVE
                text = f"The newest rehearsal is no evidence: {problem}"
                return Finding(status, text, newest.ended_at, "operations", (newest.id,))
        return _verified(newest)
    if newest.state is State.RUNNING:
        return Finding(Status.INCONCLUSIVE, f"A {word} is running", newest.started_at, "operations", (newest.id,))
    text = f"The newest {word} was not verified: {newest.reason or newest.state.replace('_', ' ')}"
    return pass_or_fail(False, text, newest.ended_at or newest.started_at, "operations", newest.id)


def _not_archived(facts: Facts) -> Finding | None:
    """Why the newest archive of the old job counts for nothing; None where it counts."""
    cutover, newest = standing_cutover(facts), facts.started.get("archive")
    if isinstance(cutover, Finding):
        return cutover
    if newest is not None and _ended(newest) < _ended(cutover):
        text = f"The old job was archived at {when(newest.ended_at)}, before the cutover of {when(cutover.ended_at)}"
        return unknown(text, "operations", newest.ended_at)
    back = facts.verified.get("unarchive")
    if newest is not None and back is not None and _ended(back) > _ended(newest):
        text = f"Brought back at {when(back.ended_at)}, requested by {back.requested_by}"
        return pass_or_fail(False, text, back.ended_at, "operations", back.id)
    return None


def _ended(record: OperationRecord) -> datetime:
    return record.ended_at or record.started_at or record.created_at


def _verified(found: OperationRecord) -> Finding:
    text = f"Verified at {when(found.ended_at)}, requested by {found.requested_by}"
    return pass_or_fail(True, text, found.ended_at, "operations", found.id)


@rule
def days_since_cutover(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """`days` days have passed since the cutover that holds, and the new side still serves every table."""
    cutover = standing_cutover(facts)
    if isinstance(cutover, Finding):
        return cutover
    if (other := serves_all(facts)) is not None:
        return other
    if outdated := unread(facts, "tables", "The tables", "tables"):
        return outdated
    days = (facts.now - (cutover.ended_at or facts.now)).total_seconds() / 86400
    text = f"{days:.1f} of {params['days']} days since the cutover of {when(cutover.ended_at)}"
    if days < params["days"]:
        return unknown(text, "operations", cutover.ended_at)
    return pass_or_fail(True, text, facts.snapshot.sources["tables"].last_success, "operations", cutover.id)
