"""Ticking and signing: who may, recorded in the checklist and in the audit log alike."""

from __future__ import annotations

from app.access import Access, Actor, Refused, require, same_person
from app.config.migration import Deliverable, Metric, Migration, Role
from app.store.checklist import ChecklistRepository, Tick

COMMENT_LIMIT = 2000


class ChecklistService:
    """Marks deliverables, metrics and sign-offs of one migration."""

    def __init__(self, migration: Migration, checklist: ChecklistRepository, access: Access) -> None:
        self._migration = migration
        self._checklist = checklist
        self._access = access

    def mark(self, key: str, done: bool, actor: Actor, comment: str = "") -> Tick:
        """Ticks (done) or withdraws the mark of `key`. Roles are looked up now, not taken from the session.

        A sign-off needs the role that the migration file names for it, anything else the operator's. What evidence
        proves is not ticked by hand. Raises Refused, which is audited too.
        """
        try:
            require(actor.user_name, self._needed_role(key), self._access.roles_of, f"'{key}'")
            if done:
                self._check_other_person(key, actor)
            if len(comment) > COMMENT_LIMIT:
                raise Refused(f"the comment has {len(comment)} characters, at most {COMMENT_LIMIT} are kept")
        except Refused as e:
            self._record(actor, key, done, "refused", str(e), comment)
            raise
        # The audit record comes first: a mark that cannot be audited is not made.
        self._record(actor, key, done, "allowed", "", comment)
        return self._checklist.mark(
            key, done, by=actor.user_name, local=actor.local, comment=comment, source=actor.source
        )

    def refuse(self, key: str, actor: Actor, reason: str) -> None:
        """Records that a mark was refused before it was attempted."""
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
                    raise Refused(f"'{item.title}' is decided by evidence, nobody ticks it")
                return Role.OPERATOR
        raise Refused(f"the checklist has no item '{key}'")

    def _check_other_person(self, key: str, actor: Actor) -> None:
        """Each sign-off needs another person unless the migration file lets one give them all."""
        titles = {s.key: s.title for s in self._migration.sign_offs}
        if key not in titles or self._migration.one_person_may_sign_all:
            return
        for other, mark in self._checklist.latest().items():
            if other in titles and other != key and mark.done and same_person(mark.by, actor.user_name):
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
