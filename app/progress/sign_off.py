"""Ticks, sign-offs and accepted deviations: authorized, recorded in the checklist and in the audit log."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from app.access import Access, Actor, Refused, require, same_person
from app.config.items import Deliverable, Metric
from app.config.migration import Migration, Role
from app.progress.facts import Facts
from app.progress.signed_evidence import evidence_now
from app.progress.standing import of_item
from app.store.checklist import ChecklistRepository, Deviation, Tick

COMMENT_LIMIT = 2000
LINK_LIMIT = 2000
LONGEST_DEVIATION = timedelta(days=366)


class ChecklistService:
    """Ticks deliverables, metrics and sign-offs of one migration, and accepts deviations. facts: the evidence now."""

    def __init__(
        self, migration: Migration, checklist: ChecklistRepository, access: Access, facts: Callable[[], Facts]
    ) -> None:
        self._migration = migration
        self._checklist = checklist
        self._access = access
        self._facts = facts

    def mark(self, key: str, done: bool, actor: Actor, comment: str = "", link: str = "") -> Tick:
        """Ticks `key` (done) or withdraws its tick. Roles are looked up now, never those of the session.

        A sign-off needs the role that the migration file names for it, any other item the operator's; it keeps this
        role and the evidence that it is given on. Items that evidence alone proves cannot be ticked. link: an address
        of what was looked at, http or https. Raises Refused, which is audited.
        """
        try:
            role = self._needed_role(key)
            require(actor.user_name, role, self._access.roles_of, f"'{key}'")
            if done:
                self._check_other_person(key, actor)
            check_text(comment, "the comment")
            link = checked_link(link)
        except Refused as e:
            self._record(actor, key, done, "refused", str(e), comment, link)
            raise
        signs = done and key in {s.key for s in self._migration.sign_offs}
        evidence = evidence_now(self._facts(), role) if signs else None
        # The audit record comes first: a tick that cannot be audited is not made.
        self._record(actor, key, done, "allowed", "", comment, link, evidence)
        return self._checklist.mark(
            key,
            done,
            by=actor.user_name,
            local=actor.local,
            comment=comment,
            source=actor.source,
            link=link,
            evidence=evidence,
        )

    def accept(self, key: str, until: datetime, reason: str, actor: Actor) -> Deviation:
        """Accepts that the evidence of a deliverable or metric does not pass, until a time. Needs the role approver.

        Gates and sign-offs admit no deviation. Raises Refused, which is audited.
        """
        detail = {"until": until, "reason": reason[:COMMENT_LIMIT]}
        try:
            require(actor.user_name, Role.APPROVER, self._access.roles_of, f"accepting a deviation of '{key}'")
            item = self._proven(key)
            if not reason.strip():
                raise Refused("a deviation needs a reason")
            check_text(reason, "the reason")
            facts = self._facts()
            if not facts.now < until <= facts.now + LONGEST_DEVIATION:
                raise Refused(f"a deviation is accepted for at most {LONGEST_DEVIATION.days} days from now")
            found = of_item(item, facts)
            if found.live.passed:
                raise Refused(f"'{item.title}' is met: {found.live.summary}")
        except Refused as e:
            self._access.record(actor, "checklist.accept", "refused", key, str(e), detail)
            raise
        seen = found.live.summary
        self._access.record(actor, "checklist.accept", "allowed", key, "", detail | {"seen": seen})
        return self._deviate(item, True, actor, reason, until, seen)

    def withdraw(self, key: str, reason: str, actor: Actor) -> Deviation:
        """Withdraws an accepted deviation. Needs the role approver. Raises Refused, which is audited."""
        detail = {"reason": reason[:COMMENT_LIMIT]}
        try:
            require(actor.user_name, Role.APPROVER, self._access.roles_of, f"withdrawing the deviation of '{key}'")
            item = self._proven(key)
            check_text(reason, "the reason")
            found = self._checklist.deviations().get(key)
            if found is None or not found.accepted:
                raise Refused(f"no deviation of '{item.title}' is accepted")
        except Refused as e:
            self._access.record(actor, "checklist.unaccept", "refused", key, str(e), detail)
            raise
        self._access.record(actor, "checklist.unaccept", "allowed", key, "", detail)
        return self._deviate(item, False, actor, reason, None, "")

    def refuse(self, key: str, actor: Actor, reason: str) -> None:
        """Records the refusal of a tick that was not attempted."""
        self._record(actor, key, True, "refused", reason, "")

    def _deviate(
        self, item: Deliverable | Metric, accepted: bool, actor: Actor, reason: str, until: datetime | None, seen: str
    ) -> Deviation:
        return self._checklist.deviate(
            item.key, item.rule, accepted, until=until, reason=reason, seen=seen,
            by=actor.user_name, local=actor.local, source=actor.source,
        )  # fmt: skip

    def _items(self) -> dict[str, Deliverable | Metric]:
        items: list[Deliverable | Metric] = [d for p in self._migration.phases for s in p.steps for d in s.deliverables]
        return {i.key: i for i in (*items, *self._migration.metrics)}

    def _proven(self, key: str) -> Deliverable | Metric:
        """The deliverable or metric that evidence proves, of which a deviation may be accepted. Raises Refused."""
        item = self._items().get(key)
        if item is None:
            if key in {g.key for g in self._migration.gates}:
                raise Refused(f"'{key}' is a gate: a cutover needs its evidence, no deviation is accepted")
            raise Refused(f"the checklist has no deliverable or metric '{key}'")
        if item.evidence.kind == "manual":
            raise Refused(f"'{item.title}' is ticked by a person: there is no evidence to deviate from")
        return item

    def _needed_role(self, key: str) -> Role:
        for sign_off in self._migration.sign_offs:
            if sign_off.key == key:
                return sign_off.role
        item = self._items().get(key)
        if item is None:
            raise Refused(f"the checklist has no item '{key}'")
        if not item.ticked:
            raise Refused(f"'{item.title}' is proven by evidence and cannot be ticked")
        return Role.OPERATOR

    def _check_other_person(self, key: str, actor: Actor) -> None:
        """Refuses a second sign-off by one person, unless the migration file allows it."""
        titles = {s.key: s.title for s in self._migration.sign_offs}
        if key not in titles or self._migration.one_person_may_sign_all:
            return
        for other, tick in self._checklist.latest().items():
            if other in titles and other != key and tick.done and same_person(tick.by, actor.user_name):
                raise Refused(f"{actor.user_name} signed '{titles[other]}': another person must sign '{titles[key]}'")

    def _record(
        self,
        actor: Actor,
        key: str,
        done: bool,
        outcome: str,
        reason: str,
        comment: str,
        link: str = "",
        evidence: Mapping[str, Any] | None = None,
    ) -> None:
        detail = {"comment": comment[:COMMENT_LIMIT]}
        if link:
            detail["link"] = link[:LINK_LIMIT]
        if evidence is not None:
            detail |= {"role": evidence["role"], "evidence": evidence["digest"]}
        self._access.record(actor, "checklist.tick" if done else "checklist.untick", outcome, key, reason, detail)


def check_text(text: str, what: str) -> None:
    """Raises Refused where a person's text is too long to keep."""
    if len(text) > COMMENT_LIMIT:
        raise Refused(f"{what} has {len(text)} characters, at most {COMMENT_LIMIT} are allowed")


def checked_link(link: str) -> str:
    """The address without surrounding blanks. Raises Refused unless it is empty, or http or https with a host."""
    text = link.strip()
    if not text:
        return ""
    if len(text) > LINK_LIMIT:
        raise Refused(f"the link has {len(text)} characters, at most {LINK_LIMIT} are allowed")
    # A link shows another address than it opens where it holds these.
    if any(c.isspace() or unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in text):
        raise Refused("the link holds blanks or characters that do not show: write it as https://...")
    try:
        parts = urlsplit(text)
    except ValueError as e:
        raise Refused(f"the link is no address: {e}") from e
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refused("the link is not an address that begins with https:// or http:// and names a host")
    if parts.username is not None or parts.password is not None:
        raise Refused("the link holds a user name or password: leave it out")
    return text


def end_of(day: date, zone: ZoneInfo) -> datetime:
    """The first moment after a day, in a zone: until when what is accepted up to that day holds."""
    return datetime.combine(day + timedelta(days=1), time(), zone)
