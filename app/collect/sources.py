"""The sources of one migration with their intervals, in the order of their dependencies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from app.collect.billing import read_billing
from app.collect.context import CollectContext
from app.collect.definitions import read_pipelines, read_schedules
from app.collect.events import read_events
from app.collect.lineage import read_lineage
from app.collect.runs import read_runs
from app.collect.tables import read_tables
from app.collect.updates import read_links, read_updates


@dataclass(frozen=True)
class Source:
    """One source. interval: seconds between turns. read: runs one turn; returns which history is not read yet, or None.

    read raises WorkspaceError or StoreError where it fails, and Stopping. quick: a requested refresh waits for it.
    """

    name: str
    interval: float
    read: Callable[[], str | None]
    quick: bool = True


def sources(ctx: CollectContext) -> list[Source]:
    """Every source of a migration."""
    found = [
        Source("schedules", 30, partial(read_schedules, ctx)),
        Source("pipelines", 30, partial(read_pipelines, ctx)),
    ]
    sides = ["baseline", "candidate"] + (["development"] if ctx.migration.development_job else [])
    found += [Source(f"runs:{side}", 15, partial(read_runs, ctx, side)) for side in sides]
    for ref in ctx.migration.pipelines:
        found.append(Source(f"updates:{ref.environment}", 15, partial(read_updates, ctx, ref)))
        found.append(Source(f"events:{ref.environment}", 15, partial(read_events, ctx, ref)))
    return [
        *found,
        Source("tables", 60, partial(read_tables, ctx)),
        Source("links", 120, partial(read_links, ctx), quick=False),
        Source("billing", 300, partial(read_billing, ctx), quick=False),
        Source("lineage", 900, partial(read_lineage, ctx), quick=False),
    ]
