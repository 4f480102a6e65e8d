"""Ticks and sign-offs: authorized, recorded in the checklist and in the audit log."""

from __future__ import annotations

from app.access import Access, Actor, Refused, require, same_person
from app.config.items import Deliverable, Metric
from app.config.migration import Migration, Role
from app.store.checklist import ChecklistRepository, Tick

COMMENT_LIMIT = 2000


class ChecklistService:
    """Ticks deliverables, metrics and sign-offs of one migration."""

    def __init__(self, migration: Migration, checklist: ChecklistRepository, access: Access) -> None:
        self._migration = migration
        self._checklist = checklist
        self._access = access

    def mark(self, key: str, done: bool, actor: Actor, comment: str = "") -> Tick:
        """Ticks `key` (done) or withdraws its tick. Roles are looked up now, never those of the session.

        A sign-off needs the role that the migration file names for it, any other item the operator's. Items that
        evidence proves cannot be ticked. Raises Refused, which is audited.
        """
        try:
            require(actor.user_name, self._needed_role(key), self._access.roles_of, f"'{key}'")
            if done:
                self._check_other_person(key, actor)
            if len(comment) > COMMENT_LIMIT:
                raise Refused(f"the comment has {len(comment)} characters, at most {COMMENT_LIMIT} are allowed")
        except Refused as e:
            self._record(actor, key, done, "refused", str(e), comment)
            raise
        # The audit record comes first: a tick that cannot be audited is not made.
        self._record(actor, key, done, "allowed", "", comment)
        return self._checklist.mark(
            key, done, by=actor.user_name, local=actor.local, comment=comment, source=actor.source
        )

    def refuse(self, key: str, actor: Actor, reason: str) -> None:
        """Records the refusal of a tick that was not attempted."""
        self._record(actor, key, True, "refused", reason, "")

    def _needed_role(self, key: str) -> Role:
        for sign_off in self._migration.sign_offs:
            if sign_off.key == key:
                return sign_off.role
        items: list[Deliverable | Metric] = [d for p in self._migration.phases for s in p.steps for d in s.deliverables]
        items += self._migration.metrics
        for item in items:
            if item.key == key:
                if item.evidence.kind != "manual":
                    raise Refused(f"'{item.title}' is proven by evidence and cannot be ticked")
                return Role.OPERATOR
        raise Refused(f"the checklist has no item '{key}'")

    def _check_other_person(self, key: str, actor: Actor) -> None:
        """Refuses a second sign-off by one person, unless the migration file allows it."""
        titles = {s.key: s.title for s in self._migration.sign_offs}
        if key not in titles or self._migration.one_person_may_sign_all:
            return
        for other, tick in self._checklist.latest().items():
            if other in titles and other != key and tick.done and same_person(tick.by, actor.user_name):
                raise Refused(f"{actor.user_name} signed '{titles[other]}': another person must sign '{titles[key]}'")

    def _record(self, actor: Actor, key: str, done: bool, outcome: str, reason: str, comment: str) -> None:
        self._access.record(
            actor,
            "checklist.tick" if done else "checklist.untick",
            outcome,
            key,
            reason,
            {"comment": comment[:COMMENT_LIMIT]},
        )
