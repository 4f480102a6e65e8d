"""Incidents: opened by the worker from evidence, closed by people with a cause; and since when the worker looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    UniqueConstraint,
    insert,
    or_,
    select,
    update,
)

from app.store.base import Repository, UtcDateTime, metadata
from app.store.text import FreeText, Identity, Label

incidents_table = Table(
    "incidents",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", Identity(20), nullable=False),
    Column("subject", Label(400), nullable=False),
    Column("side", Identity(20), nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("summary", FreeText, nullable=False),
    # Set while it is open: one open incident for each kind and subject, whatever else writes.
    Column("open_key", Label(430)),
    Column("audited", Boolean, nullable=False),
    Column("closed_at", UtcDateTime),
    Column("closed_by", Identity(320)),
    Column("closed_local", Boolean),
    Column("cause", FreeText),
    UniqueConstraint("open_key"),
    Index("ix_incidents_last", "last_at"),
)

evidence_table = Table(
    "incident_evidence",
    metadata,
    Column("evidence", Label(500), primary_key=True),
    Column("incident_id", Integer, ForeignKey(incidents_table.c.id), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("text", FreeText, nullable=False),
    Index("ix_incident_evidence_incident", "incident_id"),
)

watch_table = Table(
    "incident_watch",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("since", UtcDateTime, nullable=False),
    Column("until", UtcDateTime, nullable=False),
)


@dataclass(frozen=True)
class Sign:
    """One piece of evidence of an incident. evidence: its id, the same whenever it is found again.

    kind and subject: what is wrong with what; signs of one kind and subject are one incident while it is open.
    side: baseline or candidate. at: when it happened.
    """

    kind: str
    subject: str
    side: str
    evidence: str
    at: datetime
    text: str


@dataclass(frozen=True)
class Proof:
    """A piece of evidence of an incident."""

    evidence: str
    at: datetime
    text: str


@dataclass(frozen=True)
class Incident:
    """Something that went wrong with one side. opened_at, last_at: times of its first and last evidence.

    recorded_at: when the worker opened it. summary: its first evidence in a sentence. cause: what the person who closed
    it says. closed_local: that person was a locally chosen persona. proofs: its evidence, oldest first.
    """

    id: int
    kind: str
    subject: str
    side: str
    opened_at: datetime
    last_at: datetime
    recorded_at: datetime
    summary: str
    closed_at: datetime | None = None
    closed_by: str | None = None
    closed_local: bool | None = None
    cause: str | None = None
    proofs: tuple[Proof, ...] = ()

    @property
    def open(self) -> bool:
        """Whether nobody has closed it."""
        return self.closed_at is None


@dataclass(frozen=True)
class Watch:
    """The worker has looked for incidents without a gap from `since` until `until`."""

    since: datetime
    until: datetime


class IncidentRepository(Repository):
    """Reads and writes incidents. All methods raise StoreError."""

    _what = "incidents"

    def record(self, signs: Sequence[Sign]) -> int:
        """Opens an incident for each new sign, or adds the sign to the open one of its kind and subject.

        A sign that was recorded before, in an incident that is open or closed, changes nothing. Returns how many
        incidents were opened.
        """
        opened = 0
        with self._write() as c:
            keys = {s.evidence: evidence_table.c.evidence.type.kept(s.evidence) for s in signs}  # type: ignore[attr-defined]
            known = self._known(c, list(keys.values()))
            for sign in sorted(signs, key=lambda s: (s.at, s.evidence)):
                if keys[sign.evidence] in known:
                    continue
                known.add(keys[sign.evidence])
                open_key = _open_key(sign.kind, sign.subject)
                t = incidents_table.c
                found = c.execute(select(t.id, t.opened_at, t.last_at).where(t.open_key == open_key)).one_or_none()
                if found is None:
                    opened += 1
                    values: dict[str, Any] = {
                        "kind": sign.kind, "subject": sign.subject, "side": sign.side, "opened_at": sign.at,
                        "last_at": sign.at, "recorded_at": self._clock(), "summary": sign.text, "open_key": open_key,
                        "audited": False,
                    }  # fmt: skip
                    incident = int(c.execute(insert(incidents_table).values(values).returning(t.id)).scalar_one())
                else:
                    incident = int(found.id)
                    changes: dict[str, Any] = {"last_at": max(found.last_at, sign.at)}
                    if sign.at < found.opened_at:
                        changes |= {"opened_at": sign.at, "summary": sign.text}
                    c.execute(update(incidents_table).where(t.id == incident).values(changes))
                proof = {"evidence": sign.evidence, "incident_id": incident, "at": sign.at, "text": sign.text}
                c.execute(insert(evidence_table).values(proof))
        return opened

    def _known(self, c: Any, keys: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for i in range(0, len(keys), 500):
            part = list(keys[i : i + 500])
            rows = c.execute(select(evidence_table.c.evidence).where(evidence_table.c.evidence.in_(part)))
            found.update(str(r.evidence) for r in rows)
        return found

    def unaudited(self) -> list[Incident]:
        """Incidents whose opening the audit log does not have yet."""
        t = incidents_table.c
        return self._incidents(select(incidents_table).where(t.audited.is_(False)).order_by(t.id))

    def set_audited(self, incident_id: int) -> None:
        """Records that the audit log has the opening of an incident."""
        with self._write() as c:
            c.execute(update(incidents_table).where(incidents_table.c.id == incident_id).values(audited=True))

    def close(self, incident_id: int, *, by: str, local: bool, cause: str) -> bool:
        """Closes an open incident; false where it is not open."""
        t = incidents_table.c
        with self._write() as c:
            values = {
                "open_key": None, "closed_at": self._clock(), "closed_by": by, "closed_local": local, "cause": cause,
            }  # fmt: skip
            done = c.execute(
                update(incidents_table).where(t.id == incident_id, t.closed_at.is_(None)).values(values).returning(t.id)
            )
            return done.one_or_none() is not None

    def reopen(self, incident_id: int) -> bool:
        """Opens a closed incident again; false where it is open, or another of its kind and subject is."""
        t = incidents_table.c
        with self._write() as c:
            found = c.execute(
                select(incidents_table).where(t.id == incident_id, t.closed_at.is_not(None))
            ).one_or_none()
            if found is None:
                return False
            open_key = _open_key(found.kind, found.subject)
            if c.execute(select(t.id).where(t.open_key == open_key)).one_or_none() is not None:
                return False
            values = {"open_key": open_key, "closed_at": None, "closed_by": None, "closed_local": None, "cause": None}
            c.execute(update(incidents_table).where(t.id == incident_id).values(values))
        return True

    def incident(self, incident_id: int) -> Incident | None:
        """One incident with its evidence."""
        found = self._incidents(select(incidents_table).where(incidents_table.c.id == incident_id))
        return found[0] if found else None

    def since(self, moment: datetime, limit: int = 500) -> list[Incident]:
        """Incidents that are open, have evidence since `moment` or were closed since; open ones first, then newest."""
        t = incidents_table.c
        query = select(incidents_table).where(or_(t.closed_at.is_(None), t.last_at >= moment, t.closed_at >= moment))
        return self._incidents(query.order_by(t.closed_at.is_not(None), t.last_at.desc(), t.id.desc()).limit(limit))

    def _incidents(self, query: Any) -> list[Incident]:
        rows = self._all(query)
        proofs: dict[int, list[Proof]] = {int(r.id): [] for r in rows}
        for i in range(0, len(rows), 500):
            part = list(proofs)[i : i + 500]
            e = evidence_table.c
            for r in self._all(select(evidence_table).where(e.incident_id.in_(part)).order_by(e.at, e.evidence)):
                proofs[int(r.incident_id)].append(Proof(r.evidence, r.at, r.text))
        found = []
        for r in rows:
            values = {k: v for k, v in r._mapping.items() if k not in ("open_key", "audited")}
            found.append(Incident(**values, proofs=tuple(proofs[int(r.id)])))
        return found

    def watched(self, since: datetime, until: datetime) -> None:
        """Records that incidents were looked for, of all that happened within [since, until].

        Where the last look ended before `since`, the time between is not covered, and the watch begins anew.
        """
        with self._write() as c:
            w = watch_table
            found = c.execute(select(w).where(w.c.id == 1)).one_or_none()
            if found is None:
                c.execute(insert(w).values(id=1, since=since, until=until))
                return
            start = min(found.since, since) if found.until >= since else since
            c.execute(update(w).where(w.c.id == 1).values(since=start, until=max(until, found.until)))

    def watch(self) -> Watch | None:
        """Since when and until when the worker has looked; None where it never has."""
        found = self._one(select(watch_table.c.since, watch_table.c.until).where(watch_table.c.id == 1))
        return None if found is None else Watch(found.since, found.until)


def _open_key(kind: str, subject: str) -> str:
    return f"{kind}:{subject}"
