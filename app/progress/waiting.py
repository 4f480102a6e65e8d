"""What waits for a reader: sign-offs, approvals, items, regressions, deviations that expire. A pure function."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from app.access import same_person
from app.config.items import Deliverable, Metric
from app.config.migration import Role
from app.moments import when
from app.progress.evidence import Finding
from app.progress.facts import Facts
from app.progress.phases import SignOffStatus, metrics, phases, sign_offs
from app.progress.standing import Standing, State
from app.store.operations import OperationRecord
from app.store.operations import State as OperationState

EXPIRES_SOON = timedelta(days=7)
"""How long before its end an accepted deviation waits for an approver."""


class Kind(StrEnum):
    """What waits, the most urgent first."""

    OPERATION = "operation"
    APPROVAL = "approval"
    REOPENED = "reopened sign-off"
    SIGN_OFF = "sign-off"
    REGRESSED = "regressed item"
    DEVIATION = "expiring deviation"
    ITEM = "item"


@dataclass(frozen=True)
class Waiting:
    """One thing that waits for the reader. page, parameters: where the reader does it."""

    kind: Kind
    key: str
    title: str
    text: str
    page: str = "checklist"
    parameters: Mapping[str, str] = field(default_factory=dict)


def waiting(
    facts: Facts, user: str | None, roles: Collection[Role], operations: Sequence[OperationRecord]
) -> tuple[Waiting, ...]:
    """What waits for a user with these roles, the most urgent first; nothing for a reader who is not known.

    operations: those that are not ended, or need a person. Of items, those of the phases up to the one that the
    migration is in wait for their owner, or, where only the whole plan has an owner, for any operator.
    """
    if user is None:
        return ()
    found = [
        *_operations(facts, user, roles, operations),
        *_sign_offs(facts, user, roles),
        *_items(facts, user, roles),
    ]
    return tuple(sorted(found, key=lambda w: list(Kind).index(w.kind)))


def _operations(
    facts: Facts, user: str, roles: Collection[Role], operations: Sequence[OperationRecord]
) -> Iterator[Waiting]:
    for o in operations:
        where = {"operation": o.id}
        if o.state is OperationState.NEEDS_HUMAN and Role.OPERATOR in roles:
            yield Waiting(Kind.OPERATION, o.id, f"{o.kind.capitalize()} needs a person", o.reason, "operations", where)
        mine = same_person(o.requested_by, user)
        if o.state is OperationState.SUBMITTED and Role.APPROVER in roles and not mine and facts.now < o.expires_at:
            text = f"Requested by {o.requested_by}; its plan expires at {when(o.expires_at)}"
            yield Waiting(Kind.APPROVAL, o.id, f"Approve the {o.kind}", text, "operations", where)


def _sign_offs(facts: Facts, user: str, roles: Collection[Role]) -> Iterator[Waiting]:
    found = sign_offs(facts)
    for s in found:
        if (
            s.finding.passed
            or s.sign_off.role not in roles
            or (s.sign_off.owner and not same_person(s.sign_off.owner, user))
        ):
            continue
        if not facts.migration.one_person_may_sign_all and _signed_another(found, s, user):
            continue
        kind = Kind.REOPENED if s.reopened else Kind.SIGN_OFF
        yield Waiting(
            kind, s.sign_off.key, f"Sign: {s.sign_off.title}", s.finding.summary, "checklist", {"item": s.sign_off.key}
        )


def _signed_another(found: Sequence[SignOffStatus], this: SignOffStatus, user: str) -> bool:
    return any(
        s.tick is not None and s.tick.done and same_person(s.tick.by, user)
        for s in found
        if s.sign_off.key != this.sign_off.key
    )


def _items(facts: Facts, user: str, roles: Collection[Role]) -> Iterator[Waiting]:
    found = phases(facts)
    all_done = not any(p.current for p in found)
    for p in found:
        if not p.reached:
            continue
        for step in p.steps:
            for d in step.deliverables:
                owner = d.deliverable.owner or _group_owner(facts, step.step.key, p.phase.key)
                yield from _item(facts, d.deliverable, d.standing, owner, user, roles)
    for m in metrics(facts):
        if all_done or found[-1].current or m.standing.state in (State.REGRESSED, State.ACCEPTED):
            yield from _item(facts, m.metric, m.standing, m.metric.owner, user, roles)


def _item(
    facts: Facts, item: Deliverable | Metric, standing: Standing, owner: str, user: str, roles: Collection[Role]
) -> Iterator[Waiting]:
    where = {"item": item.key}
    if standing.state is State.ACCEPTED:
        if Role.APPROVER in roles and (until := _expires(standing, facts.now)) is not None:
            text = f"The accepted deviation ends at {when(until)}: {standing.live.summary}"
            yield Waiting(Kind.DEVIATION, item.key, item.title, text, "checklist", where)
        return
    kind = {State.OPEN: Kind.ITEM, State.REGRESSED: Kind.REGRESSED}.get(standing.state)
    if kind is None or not (same_person(owner, user) if owner else Role.OPERATOR in roles):
        return
    yield Waiting(kind, item.key, item.title, _text(standing.finding, item), "checklist", where)


def _text(finding: Finding, item: Deliverable | Metric) -> str:
    return item.hint if finding.manual and item.hint and not finding.source else finding.summary


def _expires(standing: Standing, now: datetime) -> datetime | None:
    until = standing.deviation.until if standing.deviation else None
    return until if until is not None and until - now <= EXPIRES_SOON else None


def _group_owner(facts: Facts, *keys: str) -> str:
    owners = facts.migration.schedule.owners
    return next((owners[k] for k in keys if owners.get(k)), "")
