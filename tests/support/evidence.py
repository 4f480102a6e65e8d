"""Evidence for pure tests of rules and what rests on them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from app.config.migration import Migration
from app.parity.streak import Streak
from app.progress.facts import PAIRS, Facts
from app.store.collected.records import Snapshot


def facts_of(now: datetime, migration: Migration, **more: Any) -> Facts:
    """No evidence at all, but `more`."""
    empty = Facts(
        now=now,
        migration=migration,
        snapshot=Snapshot({}, {}, {}, {}, (), ()),
        tasks={},
        expectations={},
        parity={pair: {} for pair in PAIRS},
        final_parity={pair: {} for pair in PAIRS},
        streaks={pair: Streak() for pair in PAIRS},
        schema_differences={},
        ticks={},
        verified={},
    )
    return replace(empty, **more)
