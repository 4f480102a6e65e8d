"""The audit log: every action and refusal, append-only, each record hash-chained to the one before it."""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Boolean, Column, Connection, Integer, Row, Table, Text, insert, select, update
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError

from app.store.base import Repository, StoreError, UtcDateTime, metadata, store_error
from app.store.faults import DATABASE_ERRORS
from app.store.text import FreeText, Identity, Label, Unstorable, kept, storable
from databricks_client.terminal import json_text
from validation.spreadsheet import csv_line

SPREAD = random.Random()  # noqa: S311 (no secret)
"""Spreads writers that collided. A generator of its own: a seed of the process's must not make them retry in step."""
GENESIS = "0" * 64
"""The hash that the first record names as its predecessor's."""

APPEND_SECONDS = 15.0
"""How long one record is tried where others write, beside the last attempt's own time."""

audit_log = Table(
    "audit_log",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", Identity(200), nullable=False),
    Column("source", Identity(20), nullable=False),
    Column("local", Boolean, nullable=False),
    Column("action", Identity(64), nullable=False, index=True),
    Column("outcome", Identity(20), nullable=False),
    Column("subject", Label(200), nullable=False, index=True),
    Column("plan_hash", Identity(64)),
    Column("reason", FreeText, nullable=False),
    # The canonical text, cleaned before it is hashed, in no JSON column: it must come back byte for byte.
    Column("detail", Text, nullable=False),
    Column("prev_hash", Identity(64), nullable=False),
    Column("hash", Identity(64), nullable=False, unique=True),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", Integer, nullable=False),
    Column("hash", Identity(64), nullable=False),
)


@dataclass(frozen=True)
class AuditRecord:
    """One thing that someone did or was refused.

    at: UTC. actor: user name. source: proxy, persona, token or worker. local: true if it was done on a local workspace.
    action: what (`submit`, `approve`, `step`, ...). outcome: `allowed`, `refused`, `done`, `failed`, ...
    subject: what it concerns (an operation's id, a table, a sign-off). detail: evidence ids, versions, texts.
    """

    seq: int
    at: datetime
    actor: str
    source: str
    local: bool
    action: str
    outcome: str
    subject: str
    plan_hash: str | None
    reason: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    prev_hash: str = GENESIS
    hash: str = ""

    def digest(self) -> str:
        """SHA-256 over the predecessor's hash and this record's canonical JSON (sorted keys, no blanks, UTC)."""
        content = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("hash", "prev_hash")}
        content["at"] = self.at.astimezone(UTC).isoformat(timespec="microseconds")
        return hashlib.sha256((self.prev_hash + canonical(content)).encode()).hexdigest()


@dataclass(frozen=True)
class Anchor:
    """A head of the chain as something outside the store has it. source: what has it, e.g. a file or a statement."""

    seq: int
    hash: str
    source: str = ""

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


@dataclass(frozen=True)
class ChainCheck:
    """Whether the chain is whole. `broken`: number of the first record that is not what was written, or None.

    problems: what else in the store is not as the chain has it, a sentence each; `whole` is then false.
    """

    whole: bool
    records: int
    broken: int | None
    reason: str
    head: str
    problems: tuple[str, ...] = ()

    @property
    def anchor(self) -> Anchor:
        """The head, to be kept outside the store."""
        return Anchor(self.records, self.head)


Change = Callable[[Connection], "Mapping[str, Any] | None"]
"""Writes something in the transaction of its audit record; gives further details for the record, or None where nothing
was to be changed."""


class Unchanged(Exception):
    """The change that an audit record was for did not apply: neither is in the store."""


def canonical(value: Any) -> str:
    """JSON with sorted keys and no blanks, so that equal values give equal text. Moments become ISO-8601 in UTC."""

    def plain(x: Any) -> Any:
        if isinstance(x, datetime):
            return x.astimezone(UTC).isoformat(timespec="microseconds")
        if isinstance(x, Mapping):
            return dict(x)
        if isinstance(x, (set, frozenset)):
            return sorted(x)
        raise TypeError(f"{type(x).__name__} cannot be written to the audit log")

    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=plain, allow_nan=False)


class AuditRepository(Repository):
    """Appends to the log, reads it, verifies it, exports it. It has no way to change or delete a record."""

    _what = "the audit log"

    def append(
        self,
        *,
        actor: str,
        source: str,
        local: bool,
        action: str,
        outcome: str,
        subject: str,
        plan_hash: str | None = None,
        reason: str = "",
        detail: Mapping[str, Any] | None = None,
        change: Change | None = None,
    ) -> AuditRecord:
        """Adds one record and returns it. Safe when many append at once: the head row is swapped by comparing.

        change: written in the same transaction, so that neither is there without the other; called again where another
        writer was first. Raises StoreError when it cannot be written; the action must then not happen. Raises Unchanged
        where `change` gives None, and what it raises: nothing is written then.
        """
        text = canonical(storable(detail or {}, finite=False))
        try:
            # What is hashed is what is kept.
            said = kept(
                audit_log,
                {
                    "actor": actor, "source": source, "action": action, "outcome": outcome, "subject": subject,
                    "plan_hash": plan_hash, "reason": reason,
                },
            )  # fmt: skip
        except Unstorable as e:
            raise store_error(f"{self._what} cannot be written", e) from e
        problem: SQLAlchemyError | None = None
        until = time.monotonic() + APPEND_SECONDS
        attempt = 0
        while True:
            try:
                with self._engine.begin() as c:
                    if change is not None:
                        more = change(c)
                        if more is None:
                            raise Unchanged
                        text = canonical(storable({**(detail or {}), **more}, finite=False))
                    head = c.execute(select(audit_head).where(audit_head.c.id == 1)).one_or_none()
                    seq, prev = (head.seq + 1, head.hash) if head else (1, GENESIS)
                    unsigned = AuditRecord(
                        seq=seq, at=self._clock(), local=local, detail=json.loads(text), prev_hash=prev, **said
                    )
                    record = AuditRecord(**{**_shallow(unsigned), "hash": unsigned.digest()})
                    if head is None:
                        c.execute(insert(audit_head).values(id=1, seq=seq, hash=record.hash))
                    else:
                        swapped = c.execute(
                            update(audit_head)
                            .where(audit_head.c.id == 1, audit_head.c.seq == head.seq, audit_head.c.hash == head.hash)
                            .values(seq=seq, hash=record.hash)
                        ).rowcount
                        if swapped != 1:
                            raise _Again
                    c.execute(insert(audit_log).values(**{**_shallow(record), "detail": text}))
                    return record
            except _Again:
                problem = None
            except (IntegrityError, OperationalError) as e:
                # Another writer was first (unique key, SQLite's stale snapshot, Postgres' serialization failure).
                problem = e
                if not _passes(e):
                    raise store_error(f"{self._what} cannot be written", e) from e
            except DATABASE_ERRORS as e:
                raise store_error(f"{self._what} cannot be written", e) from e
            if time.monotonic() >= until:
                break
            attempt += 1
            time.sleep(SPREAD.uniform(0, min(0.1, 0.002 * attempt)))
        if isinstance(problem, OperationalError):
            raise store_error(f"{self._what} cannot be written", problem) from problem
        raise StoreError(f"{self._what} cannot be written: too many write at once; try again") from problem

    def records(
        self,
        *,
        subject: str | None = None,
        actor: str | None = None,
        action: str | None = None,
        since: datetime | None = None,
        limit: int = 500,
    ) -> list[AuditRecord]:
        """The newest records that match, newest first."""
        query = select(audit_log).order_by(audit_log.c.seq.desc()).limit(limit)
        if subject is not None:
            query = query.where(audit_log.c.subject == subject)
        if actor is not None:
            query = query.where(audit_log.c.actor == actor)
        if action is not None:
            query = query.where(audit_log.c.action == action)
        if since is not None:
            query = query.where(audit_log.c.at >= since)
        return [_record(row) for row in self._all(query)]

    def head(self) -> Anchor | None:
        """The newest record's number and hash; None where there is no record."""
        row = self._one(select(audit_head).where(audit_head.c.id == 1))
        return None if row is None else Anchor(row.seq, row.hash)

    def verify(self, expected_head: str | None = None, anchors: Iterable[Anchor] = ()) -> ChainCheck:
        """Walks the whole chain. Names the first record that was changed, removed, inserted or reordered.

        expected_head: the hash of an earlier export's last record; if given, that record must still be in the chain.
        anchors: heads kept outside the store: a chain that was cut, or rewritten with right hashes, lacks them.
        """
        kept = sorted(set(anchors), key=lambda a: a.seq)
        wanted = {a.seq for a in kept}
        found: dict[int, str] = {0: GENESIS}
        previous, count, seen = GENESIS, 0, expected_head is None
        for record in self.walk():
            count += 1
            if record.seq != count:
                return ChainCheck(False, count - 1, count, f"record {count} is missing", previous)
            if record.prev_hash != previous:
                return ChainCheck(
                    False, count - 1, count, f"record {count} does not follow record {count - 1}", previous
                )
            if record.digest() != record.hash:
                return ChainCheck(False, count - 1, count, f"record {count} was changed after it was written", previous)
            previous = record.hash
            if count in wanted:
                found[count] = previous
            seen = seen or record.hash == expected_head
        head = self._one(select(audit_head).where(audit_head.c.id == 1))
        written = head.seq if head else 0
        if written > count:
            return ChainCheck(False, count, count + 1, f"record {count + 1} is missing at the end", previous)
        if written < count or (head is not None and head.hash != previous):
            return ChainCheck(False, count, max(written, 1), "the head does not name the last record", previous)
        if not seen:
            return ChainCheck(False, count, None, f"no record has the expected hash {expected_head}", previous)
        for anchor in kept:
            if anchor.seq > count:
                what = f"the log was cut: it ends at record {count}, and {_anchored(anchor)}"
                return ChainCheck(False, count, count + 1, what, previous)
            if found[anchor.seq] != anchor.hash:
                what = f"the log was rewritten: its record {anchor.seq} has another hash than {_anchored(anchor)}"
                return ChainCheck(False, count, anchor.seq, what, previous)
        return ChainCheck(True, count, None, f"{count} records, each follows the one before", previous)

    def export_json(self) -> str:
        """The whole log, oldest first, as a JSON array."""
        return json_text([_plain(r) for r in self.walk()], indent=1)

    def export_csv(self) -> str:
        """The whole log, oldest first, as CSV with a header line; `detail` is canonical JSON."""
        lines = [csv_line(f.name for f in fields(AuditRecord))]
        for r in self.walk():
            values = {**_plain(r), "detail": canonical(r.detail)}
            lines.append(csv_line(None if v is None else str(v) for v in values.values()))
        return "".join(lines)

    def walk(self, page: int = 1000) -> Iterator[AuditRecord]:
        """Every record, oldest first, `page` at a time. Raises StoreError."""
        last: int | None = None
        while True:
            query = select(audit_log).order_by(audit_log.c.seq).limit(page)
            if last is not None:
                query = query.where(audit_log.c.seq > last)
            rows = self._all(query)
            for row in rows:
                yield _record(row)
            if len(rows) < page:
                return
            last = rows[-1].seq


def _anchored(anchor: Anchor) -> str:
    return f"the anchor {anchor.seq}:{anchor.hash[:12]}{' of ' + anchor.source if anchor.source else ''}"


def _passes(error: SQLAlchemyError) -> bool:
    """Whether another writer is the cause, so that the next attempt may succeed; not a full disk or a server away."""
    if isinstance(error, IntegrityError):
        return True
    original = getattr(error, "orig", None)
    name = getattr(original, "sqlite_errorname", None) or ""
    return name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or getattr(original, "sqlstate", None) in (
        "40001",
        "40P01",
        "55P03",
    )


class _Again(Exception):
    """Another writer appended between reading the head and swapping it."""


def _shallow(record: AuditRecord) -> dict[str, Any]:
    return {f.name: getattr(record, f.name) for f in fields(record)}


def _plain(record: AuditRecord) -> dict[str, Any]:
    return {**asdict(record), "at": record.at.astimezone(UTC).isoformat(timespec="microseconds")}


def _record(row: Row[Any]) -> AuditRecord:
    values = dict(row._mapping)
    try:
        values["detail"] = json.loads(values["detail"])
    except ValueError:
        values["detail"] = {"unreadable": values["detail"]}
    return AuditRecord(**values)
