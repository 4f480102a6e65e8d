"""Ticks and sign-offs by people: an append-only list; the newest tick of a key is its state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Column, Index, Integer, Table, func, insert, select

from app.store.base import Repository, UtcDateTime, metadata
from app.store.text import CleanJson, FreeText, Identity

marks = Table(
    "checklist_marks",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("key", Identity(200), nullable=False),
    Column("done", Boolean, nullable=False),
    Column("by", Identity(320), nullable=False),
    Column("local", Boolean, nullable=False),
    Column("source", Identity(20), nullable=False, server_default=""),
    Column("comment", FreeText, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("link", FreeText, nullable=False, server_default=""),
    Column("evidence", CleanJson),
    Index("ix_checklist_marks_key", "key", "id"),
)

deviations = Table(
    "checklist_deviations",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("key", Identity(200), nullable=False),
    Column("rule", Identity(64), nullable=False),
    Column("accepted", Boolean, nullable=False),
    Column("until", UtcDateTime),
    Column("reason", FreeText, nullable=False),
    Column("seen", FreeText, nullable=False),
    Column("by", Identity(320), nullable=False),
    Column("local", Boolean, nullable=False),
    Column("source", Identity(20), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index("ix_checklist_deviations_key", "key", "id"),
)


@dataclass(frozen=True)
class Tick:
    """One tick (done) or its withdrawal. by: user name; local: the user was a locally chosen persona.

    source: where the name came from (`proxy`, `persona`, `token`); empty in ticks from before it was kept.
    link: address of what a sign-off refers to, or empty. evidence: what was known when a sign-off was given, as
    `app.progress.signed_evidence` writes it; None for all else, and for sign-offs from before it was kept.
    """

    id: int
    key: str
    done: bool
    by: str
    local: bool
    comment: str
    at: datetime
    source: str = ""
    link: str = ""
    evidence: Mapping[str, Any] | None = None

    def counts(self, personas: bool) -> bool:
        """Whether it is done, by a user whose ticks count. personas: whether those of local personas count."""
        return self.done and (personas or not (self.local or self.source == "persona"))


@dataclass(frozen=True)
class Deviation:
    """An approver's acceptance that an item is not met, or its withdrawal (accepted false).

    rule: digest of what the item needed; for another rule it counts nothing. until: when it expires. seen: what the
    evidence said when it was accepted. by, local, source: as of a tick.
    """

    id: int
    key: str
    rule: str
    accepted: bool
    until: datetime | None
    reason: str
    seen: str
    by: str
    local: bool
    source: str
    at: datetime

    def holds(self, now: datetime, personas: bool) -> bool:
        """Whether it is in force. personas: whether those of local personas count."""
        counts = personas or not (self.local or self.source == "persona")
        return self.accepted and counts and self.until is not None and now < self.until


class ChecklistRepository(Repository):
    """Reads and appends ticks and deviations."""

    _what = "the checklist's marks"

    def mark(
        self,
        key: str,
        done: bool,
        *,
        by: str,
        local: bool,
        comment: str = "",
        source: str = "",
        link: str = "",
        evidence: Mapping[str, Any] | None = None,
    ) -> Tick:
        """Appends a tick and returns it."""
        moment = self._clock()
        with self._write() as c:
            values = {
                "key": key, "done": done, "by": by, "local": local, "comment": comment, "at": moment, "source": source,
                "link": link, "evidence": evidence,
            }  # fmt: skip
            (new_id,) = c.execute(insert(marks).values(values).returning(marks.c.id)).one()
        return Tick(new_id, key, done, by, local, comment, moment, source, link, evidence)

    def latest(self) -> dict[str, Tick]:
        """The newest tick of every key that has one."""
        newest = select(func.max(marks.c.id)).group_by(marks.c.key)
        rows = self._all(select(marks).where(marks.c.id.in_(newest)))
        return {row.key: Tick(**row._mapping) for row in rows}

    def history(self, key: str | None = None) -> list[Tick]:
        """All ticks, newest first; of one key when given."""
        query = select(marks).order_by(marks.c.id.desc())
        if key is not None:
            query = query.where(marks.c.key == key)
        return [Tick(**row._mapping) for row in self._all(query)]

    def deviate(
        self,
        key: str,
        rule: str,
        accepted: bool,
        *,
        until: datetime | None,
        reason: str,
        seen: str,
        by: str,
        local: bool,
        source: str,
    ) -> Deviation:
        """Appends an accepted deviation or its withdrawal and returns it."""
        moment = self._clock()
        with self._write() as c:
            values = {
                "key": key, "rule": rule, "accepted": accepted, "until": until, "reason": reason, "seen": seen,
                "by": by, "local": local, "source": source, "at": moment,
            }  # fmt: skip
            (new_id,) = c.execute(insert(deviations).values(values).returning(deviations.c.id)).one()
        return Deviation(new_id, key, rule, accepted, until, reason, seen, by, local, source, moment)

    def deviations(self) -> dict[str, Deviation]:
        """The newest deviation, accepted or withdrawn, of every key that has one."""
        newest = select(func.max(deviations.c.id)).group_by(deviations.c.key)
        rows = self._all(select(deviations).where(deviations.c.id.in_(newest)))
        return {row.key: Deviation(**row._mapping) for row in rows}

    def deviation_history(self, key: str | None = None) -> list[Deviation]:
        """All deviations, newest first; of one key when given."""
        query = select(deviations).order_by(deviations.c.id.desc())
        if key is not None:
            query = query.where(deviations.c.key == key)
        return [Deviation(**row._mapping) for row in self._all(query)]
