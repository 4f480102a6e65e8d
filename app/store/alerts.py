"""The outbox of alerts: what is to be sent over which channel, until it was taken or given up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, Index, Integer, Row, Table, UniqueConstraint, and_, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from app.store.base import Repository, StoreError, UtcDateTime, metadata
from app.store.text import CleanJson, FreeText, Identity, Label

outbox_table = Table(
    "alert_outbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("channel", Identity(40), nullable=False),
    Column("key", Label(200), nullable=False),
    Column("content", CleanJson, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("tries", Integer, nullable=False),
    # None once it was taken or given up.
    Column("next_at", UtcDateTime),
    Column("sent_at", UtcDateTime),
    Column("error", FreeText, nullable=False),
    UniqueConstraint("channel", "key"),
    Index("ix_alert_outbox_next", "next_at"),
)

SHOWN_FOR = timedelta(days=7)
BEGINNING = "beginning"
"""Key of the row that says since when a channel is filled; it is never sent."""


@dataclass(frozen=True)
class Outgoing:
    """An alert in the outbox of a channel. key: what it is about, once for each channel; content: what is sent.

    next_at: when it is tried again, None once it was taken (`sent_at`) or given up. error: of the last try.
    """

    id: int
    channel: str
    key: str
    content: Mapping[str, Any]
    created_at: datetime
    tries: int
    next_at: datetime | None
    sent_at: datetime | None
    error: str


class AlertRepository(Repository):
    """Fills and empties the outbox. All methods raise StoreError."""

    _what = "alerts"

    def begin(self, channel: str) -> datetime:
        """Since when this channel is filled: the first call says now."""
        try:
            return self._begin(channel)
        except StoreError as e:
            if not isinstance(e.__cause__, IntegrityError):
                raise
        return self._begin(channel)  # Another process or thread made it a moment ago.

    def _begin(self, channel: str) -> datetime:
        t = outbox_table.c
        beginning = select(t.created_at).where(t.channel == channel, t.key == BEGINNING)
        with self._write() as c:
            found = c.execute(beginning).one_or_none()
            if found is not None:
                return found.created_at  # type: ignore[no-any-return]
            now = self._clock()
            c.execute(
                insert(outbox_table).values(
                    channel=channel, key=BEGINNING, content={}, created_at=now, tries=0, sent_at=now, error=""
                )
            )
            return now

    def put(self, channel: str, alerts: Iterable[tuple[str, Mapping[str, Any]]]) -> int:
        """Puts alerts (key, content) into the outbox of a channel; one that was ever in it is not put again.

        Returns how many are new.
        """
        wanted = dict(alerts)
        if not wanted:
            return 0
        t = outbox_table.c
        with self._write() as c:
            keys = {k: t.key.type.kept(k) for k in wanted}  # type: ignore[attr-defined]
            known = {r.key for r in c.execute(select(t.key).where(t.channel == channel, t.key.in_(keys.values())))}
            now = self._clock()
            new = [
                {
                    "channel": channel, "key": k, "content": dict(wanted[k]), "created_at": now, "tries": 0,
                    "next_at": now, "sent_at": None, "error": "",
                }
                for k in wanted
                if keys[k] not in known
            ]  # fmt: skip
            if new:
                c.execute(insert(outbox_table), new)
            return len(new)

    def due(self, channel: str, at: datetime, limit: int = 50) -> list[Outgoing]:
        """What is to be sent by `at`, oldest first."""
        t = outbox_table.c
        query = select(outbox_table).where(t.channel == channel, t.next_at <= at).order_by(t.id).limit(limit)
        return [_outgoing(r) for r in self._all(query)]

    def taken(self, alert_id: int, doubt: str = "") -> None:
        """Records that the receiver has taken an alert: it is not sent again. doubt: for whom it was not taken."""
        self._end(alert_id, {"next_at": None, "sent_at": self._clock(), "error": doubt})

    def failed(self, alert_id: int, error: str, next_at: datetime | None) -> None:
        """Records a failed try. next_at: when it is tried again; None gives it up."""
        self._end(alert_id, {"next_at": next_at, "error": error})

    def _end(self, alert_id: int, values: Mapping[str, Any]) -> None:
        t = outbox_table.c
        with self._write() as c:
            c.execute(update(outbox_table).where(t.id == alert_id).values(tries=t.tries + 1, **values))

    def undelivered(self, limit: int = 100) -> Sequence[Outgoing]:
        """Alerts that a try did not deliver, to all or, within SHOWN_FOR, to some of its receivers; newest first."""
        t = outbox_table.c
        partly = and_(t.sent_at >= self._clock() - SHOWN_FOR, t.error != "")
        failed = and_(t.sent_at.is_(None), t.tries > 0)
        query = select(outbox_table).where(t.key != BEGINNING, or_(failed, partly)).order_by(t.id.desc()).limit(limit)
        return [_outgoing(r) for r in self._all(query)]

    def newest(self, limit: int = 100) -> Sequence[Outgoing]:
        """The newest alerts of all channels, newest first."""
        t = outbox_table.c
        query = select(outbox_table).where(t.key != BEGINNING).order_by(t.id.desc()).limit(limit)
        return [_outgoing(r) for r in self._all(query)]


def _outgoing(row: Row[Any]) -> Outgoing:
    return Outgoing(**row._mapping)
