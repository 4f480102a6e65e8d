"""How long each run only waited for its compute, stored once its tasks and the events of its updates are known."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from app.collect.context import CollectContext, parsed_time
from app.performance.setup import setups_of

HISTORY = timedelta(days=92)
"""The longest window of an assessment."""

AGAIN = timedelta(days=2)
"""Runs that started within this time of the last turn are looked at again: events come late, and runs are repaired."""


def store_setups(ctx: CollectContext, cursor: dict[str, Any], now: datetime) -> None:
    """Stores the setup of successful runs since the last turn, which `cursor` keeps.

    Of all runs while older events are still to come. Raises StoreError.
    """
    last = parsed_time(cursor.get("setups"))
    since = now - HISTORY if last is None else last - AGAIN
    runs = [r for side in ("baseline", "candidate") for r in ctx.store.runs(side, since=since, limit=10_000)]
    wanted = [r.run_id for r in runs if r.result_state == "SUCCESS" and not r.generated]
    ctx.store.put_setups(setups_of(ctx.store, wanted, ctx.store.updates(since=since, limit=10_000)))
    if ctx.store.complete_until("events:production") is not None:
        cursor["setups"] = now.isoformat()
