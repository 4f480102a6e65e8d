"""The evidence that a sign-off is given on, and what of it reopens the sign-off when it changes.

A sign-off reopens where what was signed is no longer what there is: a gate or metric is disproved that was not then
(another identical comparison or a newer successful run changes nothing, nor does evidence that has become too old), the
migration file compares or requires something else, or a rollback took the cutover back. Once a cutover has been
verified on a sign-off, its evidence is that of the past: only a rollback reopens it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from app.config.items import SignOff
from app.config.migration import Migration, Role
from app.moments import when
from app.progress.evidence import Finding, Status
from app.progress.facts import Facts
from app.progress.record import gate_key
from app.progress.rules.base import apply
from app.progress.standing import of_item, ticked
from app.store.audit import canonical
from app.store.checklist import Tick

NOT_SIGNED = frozenset({"title", "source", "phases", "issues", "reminders", "schedule", "alerts"})
"""Fields of the migration file that a sign-off does not rest on: texts, the plan in time, the list of deliverables."""

REOPENED = "Reopened, the evidence changed since: "

OWN = frozenset({"signed"})
"""Kinds of evidence that sign-offs themselves give."""


def substance(migration: Migration) -> str:
    """SHA-256 over what a sign-off rests on: jobs, pipelines, tables, gates and metrics, with all they require."""
    content = json.loads(migration.model_dump_json(exclude=set(NOT_SIGNED), exclude_defaults=True))
    for item in (*content["gates"], *content["metrics"], *content["sign_offs"]):
        for text in ("title", "owner", "hint"):
            item.pop(text, None)
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def findings(facts: Facts) -> dict[str, tuple[str, Finding]]:
    """Key to title and finding of every gate (`gate:KEY`) and metric that a sign-off rests on."""
    found = {
        gate_key(g.key): (g.title, apply(g.evidence, facts, g.key).aged(facts.now, g.max_age_hours))
        for g in facts.migration.gates
        if g.evidence.kind not in OWN
    }
    metrics = [m for m in facts.migration.metrics if m.evidence.kind not in OWN]
    return found | {m.key: (m.title, of_item(m, facts).finding) for m in metrics}


def evidence_now(facts: Facts, role: Role) -> dict[str, Any]:
    """What a sign-off given now in this role rests on, for `Tick.evidence`; `digest` is the SHA-256 of all else."""
    evidence: dict[str, Any] = {
        "role": str(role),
        "migration": substance(facts.migration),
        "cutover": _id(facts, "cutover"),
        "rollback": _id(facts, "rollback"),
        "items": {
            key: {
                "title": title,
                "status": str(f.status),
                "summary": f.summary,
                "as_of": None if f.as_of is None else when(f.as_of, seconds=True),
                "ids": list(f.references),
            }
            for key, (title, f) in findings(facts).items()
        },
    }
    return evidence | {"digest": hashlib.sha256(canonical(evidence).encode()).hexdigest()}


def given(sign_off: SignOff, facts: Facts, now: Mapping[str, tuple[str, Finding]] | None = None) -> Finding:
    """Whether a sign-off is given and holds. FAIL: withdrawn or reopened. now: `findings(facts)`, if known.

    What reopened it is recorded; it stays open though the evidence be good again, until it is signed anew.
    """
    tick = facts.ticks.get(sign_off.key)
    if tick is None:
        return Finding(Status.INCONCLUSIVE, f"Waiting for the {sign_off.role}", manual=True)
    if not tick.done or not tick.counts(facts.personas):
        return ticked(facts, sign_off.key)
    reason = changed(tick, facts, now)
    record = facts.record.get(sign_off.key)
    if reason is None and record is not None and record.regressed_at is not None and record.regressed_at >= tick.at:
        reason = Finding(Status.FAIL, record.cause.removeprefix(REOPENED), record.regressed_at, "", record.references)
    if reason is None:
        return Finding(Status.PASS, _signed(tick), tick.at, tick.by, manual=True)
    # Not before it was signed: what reopens it was found afterwards.
    at = max(reason.as_of or facts.now, tick.at)
    return Finding(Status.FAIL, REOPENED + reason.summary, at, tick.by, reason.references, manual=True)


def _signed(tick: Tick) -> str:
    role = f" as {tick.evidence['role']}" if tick.evidence and "role" in tick.evidence else ""
    return f"Signed by {tick.by}{role}" + (f", link: {tick.link}" if tick.link else "")


def changed(tick: Tick, facts: Facts, now: Mapping[str, tuple[str, Finding]] | None = None) -> Finding | None:
    """Why a sign-off reopens, as a FAIL; None while what it was given on holds. now: `findings(facts)`, if known.

    Of sign-offs without evidence, from before it was kept, only a later rollback is known.
    """
    rollback = facts.verified.get("rollback")
    signed = tick.evidence
    if rollback is not None:
        after = rollback.ended_at is not None and rollback.ended_at > tick.at
        if after if signed is None else signed.get("rollback") != rollback.id:
            return _reopened(f"rolled back by {rollback.requested_by}", rollback.ended_at, rollback.id)
    if signed is None:
        return None
    cutover = facts.verified.get("cutover")
    if cutover is not None and signed.get("cutover") != cutover.id:
        return None
    if signed.get("migration") != substance(facts.migration):
        return _reopened("the migration file requires or compares something else", None)
    before = signed.get("items", {})
    worse = [
        (title, f)
        for key, (title, f) in (findings(facts) if now is None else now).items()
        if f.status is Status.FAIL and before.get(key, {}).get("status") != Status.FAIL
    ]
    if not worse:
        return None
    text = "; ".join(f"{title}: {f.summary}" for title, f in worse)
    return _reopened(text, min((f.as_of for _, f in worse if f.as_of), default=None), *worse[0][1].references)


def _reopened(text: str, at: Any, *references: str) -> Finding:
    return Finding(Status.FAIL, text, at, "checklist", references)


def _id(facts: Facts, kind: str) -> str:
    found = facts.verified.get(kind)
    return "" if found is None else found.id
