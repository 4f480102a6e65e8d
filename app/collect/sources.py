"""The sources of one migration with their intervals, in the order of their dependencies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from app.collect.billing import read_billing
from app.collect.context import CollectContext
from app.collect.definitions import read_pipelines, read_schedules
from app.collect.ended import Ended
from app.collect.events import read_events
from app.collect.lineage import read_lineage
from app.collect.runs import read_runs
from app.collect.tables import read_tables
from app.collect.updates import read_links, read_updates

SQL_SECONDS = 3600.0
"""Interval of what is read by SQL alone: more often would keep an auto-stopping warehouse from ever stopping."""


@dataclass(frozen=True)
class Source:
    """One source. interval: seconds between turns. read: runs one turn; returns which history is not read yet, or None.

    read raises WorkspaceError or StoreError where it fails, and Stopping. quick: a requested refresh waits for it.
    news: a mark; where it changes, the next turn begins at once.
    """

    name: str
    interval: float
    read: Callable[[], str | None]
    quick: bool = True
    news: Callable[[], object] | None = None


def sources(ctx: CollectContext) -> list[Source]:
    """Every source of a migration."""
    found = [
        Source("schedules", 30, partial(read_schedules, ctx)),
        Source("pipelines", 30, partial(read_pipelines, ctx)),
    ]
    ended = Ended(ctx.store, ctx.clock)
    sides = ["baseline", "candidate"] + (["development"] if ctx.migration.development_job else [])
    found += [Source(f"runs:{side}", 15, partial(read_runs, ctx, side)) for side in sides]
    for ref in ctx.migration.pipelines:
        found.append(Source(f"updates:{ref.environment}", 15, partial(read_updates, ctx, ref)))
        found.append(Source(f"events:{ref.environment}", 15, partial(read_events, ctx, ref)))
    return [
        *found,
        Source("tables", 60, partial(read_tables, ctx)),
        Source("links", SQL_SECONDS, partial(read_links, ctx), quick=False, news=ended),
        Source("billing", SQL_SECONDS, partial(read_billing, ctx), quick=False, news=ended),
        Source("lineage", SQL_SECONDS, partial(read_lineage, ctx), quick=False, news=ended),
    ]
