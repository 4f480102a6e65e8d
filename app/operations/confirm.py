"""The text that has to be typed: it names what will change, so that a habit of pressing Enter confirms nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.access import Refused
from app.config.migration import Migration
from app.operations.decommission import BACKUP, SUFFIX
from app.operations.definition import Kind, Observation


def text(kind: Kind, args: Mapping[str, Any], migration: Migration, observation: Observation) -> str:
    """The confirmation of an operation, e.g. `cutover catalog.schema` or `pause JOB`."""
    match kind:
        case Kind.CUTOVER | Kind.ROLLBACK:
            schemas = sorted({t.baseline.rsplit(".", 1)[0] for t in migration.tables})
            return f"{kind} {' '.join(schemas)}"
        case Kind.ARCHIVE | Kind.UNARCHIVE:
            return f"{kind} {observation.job('baseline').name.removesuffix(SUFFIX)}"
        case Kind.DROP_BACKUP:
            return f"{kind} {dict(observation.evidence)[BACKUP]}"
        case Kind.REHEARSE:
            return f"{kind} {migration.rehearsal_schema}"
        case Kind.START_UPDATE:
            full = "full refresh " if args.get("full_refresh") or args.get("full_refresh_selection") else ""
            return f"{kind} {full}{observation.pipelines[0].name}"
        case Kind.RUN_NOW | Kind.PAUSE | Kind.UNPAUSE:
            return f"{kind} {observation.job(str(args['job'])).name}"


def check(expected: str, typed: str) -> None:
    """Raises Refused unless `typed` is the expected text, blanks at its ends aside."""
    if typed.strip() != expected:
        raise Refused(f"the confirmation does not match: type {expected!r}")
