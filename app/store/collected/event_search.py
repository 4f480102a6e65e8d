"""Searches all stored events of the pipelines: conditions in SQL, a page at a time, with the number of matches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, Row, Text, and_, cast, func, literal, or_, select

from app.store.base import Repository
from app.store.collected.records import EventRecord
from app.store.collected.tables import events_table, flows_table, updates_table

BATCH = 5_000
"""Events that one statement of an export reads."""


@dataclass(frozen=True)
class EventQuery:
    """What to look for; an empty field is no condition. since, before: the time is within [since, before).

    text: occurs in message, error, dataset or type, in any case; it is no pattern. update_id: the whole id.
    environment: of the pipeline.
    """

    text: str = ""
    levels: tuple[str, ...] = ()
    event_types: tuple[str, ...] = ()
    dataset: str | None = None
    update_id: str | None = None
    environment: str | None = None
    since: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True)
class EventPage:
    """One page of matches, newest first, without their details. total: the number of all matches."""

    events: tuple[EventRecord, ...]
    total: int


_COLUMNS = [c for c in events_table.columns if c.name != "details"]


class EventSearch(Repository):
    """The part of the collected records that searches events."""

    def search_events(self, query: EventQuery, *, limit: int, offset: int = 0) -> EventPage:
        """The matches from `offset` on, newest first, at most `limit` of them."""
        t, conditions = events_table.c, self._conditions(query)
        found = self._all(
            select(*_COLUMNS)
            .where(*conditions)
            .order_by(t.timestamp.desc(), t.event_id.desc())
            .limit(limit)
            .offset(offset)
        )
        if offset == 0 and len(found) < limit:
            return EventPage(tuple(map(_event, found)), len(found))
        total = self._one(select(func.count()).select_from(events_table).where(*conditions))
        return EventPage(tuple(map(_event, found)), 0 if total is None else int(total[0]))

    def matching_events(self, query: EventQuery) -> Iterator[EventRecord]:
        """All matches, newest first, read in batches; without their details."""
        t = events_table.c
        last: Row[tuple[object, ...]] | None = None
        while True:
            statement = select(*_COLUMNS).where(*self._conditions(query))
            if last is not None:
                older = and_(t.timestamp == last.timestamp, t.event_id < last.event_id)
                statement = statement.where(or_(t.timestamp < last.timestamp, older))
            found = self._all(statement.order_by(t.timestamp.desc(), t.event_id.desc()).limit(BATCH))
            yield from map(_event, found)
            if len(found) < BATCH:
                return
            last = found[-1]

    def event_types(self) -> list[str]:
        """The types of the stored events, by name."""
        # One lookup in the index for each type: DISTINCT would read the whole index.
        t = events_table.c
        first = select(func.min(t.event_type).label("name")).cte("types", recursive=True)
        following = select(func.min(t.event_type)).where(t.event_type > first.c.name).scalar_subquery()
        types = first.union_all(select(following).where(first.c.name.is_not(None)))
        return [r.name for r in self._all(select(types.c.name).where(types.c.name.is_not(None)))]

    def datasets(self) -> list[str]:
        """The datasets that updates wrote, by name."""
        f = flows_table.c
        return [r.dataset for r in self._all(select(f.dataset).distinct().order_by(f.dataset))]

    def _conditions(self, query: EventQuery) -> list[ColumnElement[bool]]:
        t = events_table.c
        found: list[ColumnElement[bool]] = []
        if query.since is not None:
            found.append(t.timestamp >= query.since)
        if query.before is not None:
            found.append(t.timestamp < query.before)
        if query.levels:
            found.append(t.level.in_(query.levels))
        if query.event_types:
            found.append(t.event_type.in_(query.event_types))
        if query.dataset is not None:
            found.append(t.dataset == query.dataset)
        if query.update_id is not None:
            found.append(t.update_id == query.update_id)
        if query.environment is not None:
            u = updates_table.c
            # Their few ids, looked up before: with a subquery in their place no index of the events would be used.
            pipelines = self._all(select(u.pipeline_id).where(u.environment == query.environment).distinct())
            found.append(t.pipeline_id.in_([p.pipeline_id for p in pipelines]))
        if query.text:
            places = (t.message, t.dataset, t.event_type, cast(t.error, Text))
            found.append(or_(*(_contains(place, query.text) for place in places)))
        return found


def _contains(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """Whether a column contains `text`, in any case; `%` and `_` in it stand for themselves."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return func.lower(column).like(func.lower(literal(f"%{escaped}%", Text)), escape="\\")


def _event(row: Row[tuple[object, ...]]) -> EventRecord:
    return replace(EventRecord(**row._mapping), details={})
