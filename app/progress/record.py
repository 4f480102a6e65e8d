"""Transitions of items: when each was first met, regressed and was met again. Pure functions."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from app.progress.evidence import Finding, Status
from app.store.progress import Change, ItemRecord, Transition

RENEW = timedelta(minutes=10)
"""How often "still true as of" is written for an item that does not change."""


def gate_key(key: str) -> str:
    """The key of a gate's record: a gate and a metric may have one key."""
    return f"gate:{key}"


def observe(
    key: str, rule: str, before: ItemRecord | None, finding: Finding, now: datetime
) -> tuple[ItemRecord | None, Transition | None]:
    """The item's record and its transition, given what is recorded and a finding; each None where nothing changes.

    Only PASS meets an item and only FAIL disproves it: INCONCLUSIVE says nothing about what was met before. A record
    that another rule made counts for nothing. A transition happened when its evidence did, not before the last one.
    """
    if before is not None and before.rule != rule:
        before = None
    if finding.status is Status.INCONCLUSIVE:
        return None, None
    if finding.status is Status.FAIL:
        if before is None or not before.met:
            return None, None
        at = _moment(finding, now, before.since)
        cause, ids = finding.summary, finding.references
        record = replace(before, last_met=min(before.last_met, at), regressed_at=at, cause=cause, references=ids)
        return record, Transition(key, Change.REGRESSED, at, now, cause, ids)
    cause, ids = finding.summary, finding.references
    if before is None:
        at = _moment(finding, now)
        return ItemRecord(key, rule, at, now, None, None, cause, ids), Transition(key, Change.MET, at, now, cause, ids)
    if not before.met:
        at = _moment(finding, now, before.since)
        record = replace(before, last_met=now, regressed_at=None, met_again=at, cause=cause, references=ids)
        return record, Transition(key, Change.MET_AGAIN, at, now, cause, ids)
    if now - before.last_met < RENEW and ids == before.references:
        return None, None
    return replace(before, last_met=now, cause=cause, references=ids), None


def _moment(finding: Finding, now: datetime, after: datetime | None = None) -> datetime:
    """When the evidence says that it happened: not in the future, nor before the item's last transition."""
    at = min(finding.as_of or now, now)
    return at if after is None else max(at, after)
