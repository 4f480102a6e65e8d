"""What waits for others: open sign-offs, operations and items, by who is expected to act. A pure function."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from app.config.migration import Role
from app.moments import when
from app.progress.facts import Facts
from app.progress.phases import phases, sign_offs
from app.progress.standing import State
from app.store.operations import OperationRecord
from app.store.operations import State as OperationState

NAMED = 2
"""Items of one owner that are named; the rest are counted."""

UNNAMED = "no owner is named"
"""Who acts on an item without an owner: any operator may."""

_WHO = {Role.VIEWER: "a viewer", Role.OPERATOR: "an operator", Role.APPROVER: "an approver"}


@dataclass(frozen=True)
class Assignment:
    """One thing, or several items, that wait for `who`: a user name or a role in words.

    operation: id of the operation that waits; item: key of the sign-off or of the first item.
    """

    who: str
    title: str
    text: str
    operation: str = ""
    item: str = ""


def assignments(
    facts: Facts, operations: Sequence[OperationRecord], said: Collection[str] = ()
) -> tuple[Assignment, ...]:
    """What waits, operations first. operations: those that are not ended, or need a person.

    said: ids of operations and keys of sign-offs and items that are left out, as they are listed elsewhere.
    Items are those that a person ticks, of the phases up to the one that the migration is in: one entry per owner, and
    one per phase for those that name nobody, with the owner of the phase.
    """
    found = []
    for o in operations:
        if o.id in said:
            continue
        if o.state is OperationState.NEEDS_HUMAN:
            found.append(Assignment(_WHO[Role.OPERATOR], f"{o.kind.capitalize()} needs a person", o.reason, o.id))
        elif o.state is OperationState.SUBMITTED and facts.now < o.expires_at:
            who = f"{_WHO[Role.APPROVER]} other than {o.requested_by}"
            text = f"Requested by {o.requested_by}; its plan expires at {when(o.expires_at)}"
            found.append(Assignment(who, f"Approve the {o.kind}", text, o.id))
    for s in sign_offs(facts):
        if not s.finding.passed and s.sign_off.key not in said:
            who = s.sign_off.owner or _WHO[s.sign_off.role]
            found.append(Assignment(who, f"Sign: {s.sign_off.title}", s.finding.summary, item=s.sign_off.key))
    return (*found, *_items(facts, said))


def _items(facts: Facts, said: Collection[str]) -> list[Assignment]:
    owned: dict[tuple[str, str], list[tuple[str, str]]] = {}
    schedule = facts.migration.schedule
    for phase in phases(facts):
        if not phase.reached:
            continue
        for step in phase.steps:
            for d in step.deliverables:
                if d.standing.state is not State.OPEN or d.deliverable.key in said:
                    continue
                group = schedule.group_owner(step.step.key, phase.phase.key)
                of = step.step.title if schedule.owners.get(step.step.key) else phase.phase.title
                answers = f" (owner of {of}: {group})" if group else ""
                whose = (d.deliverable.owner, "") if d.deliverable.owner else (UNNAMED, answers)
                owned.setdefault(whose, []).append((d.deliverable.key, d.deliverable.title))
    found = []
    for (who, answers), items in owned.items():
        titles = "; ".join(title for _, title in items[:NAMED])
        more = f" and {len(items) - NAMED} more" if len(items) > NAMED else ""
        word = "1 item" if len(items) == 1 else f"{len(items)} items"
        found.append(Assignment(who, f"Confirm {word}", titles + more + answers, item=items[0][0]))
    return found
