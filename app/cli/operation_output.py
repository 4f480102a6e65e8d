"""How operations are written: as values of `--json`, and as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from app.cli.output import moment, rows
from app.store.operations import OperationRecord

if TYPE_CHECKING:
    from app.cli.terminal import Terminal


def brief(o: OperationRecord) -> dict[str, Any]:
    """An operation for `--json`: who requested and executes it, its state and times; `seconds` is its duration."""
    return {
        "operation": o.id,
        "kind": o.kind,
        "state": o.state,
        "reason": o.reason,
        "plan_hash": o.plan_hash,
        "requested_by": o.requested_by,
        "executor": o.executor,
        "created_at": o.created_at,
        "started_at": o.started_at,
        "ended_at": o.ended_at,
        "seconds": o.seconds,
    }


def draw_operations(found: Sequence[OperationRecord]) -> Callable[[Terminal], None]:
    """Draws operations as a table."""
    lines = [
        (o.id, o.kind, o.state.upper(), o.requested_by, moment(o.ended_at or o.started_at or o.created_at), o.reason)
        for o in found
    ]
    return rows("Operations", ["operation", "kind", "state", "requested by", "at", "reason"], lines)
