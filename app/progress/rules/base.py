"""The register of rules, and what several of them need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from app.config.items import Evidence
from app.durations import measured
from app.moments import when
from app.progress.evidence import Finding, pass_or_fail, unknown
from app.progress.facts import Facts

Rule = Callable[[Facts, Mapping[str, Any]], Finding]

RULES: dict[str, Rule] = {}

UNREAD = timedelta(minutes=15)
"""Age from which the collected runs say nothing: later runs may have ended differently."""


def rule(function: Rule) -> Rule:
    """Registers a function under its own name."""
    RULES[function.__name__] = function
    return function


def apply(evidence: Evidence, facts: Facts, key: str) -> Finding:
    """What the rule of `evidence` finds. key: the item's key, which its ticks have."""
    return RULES[evidence.kind](facts, {**evidence.checked_params.model_dump(exclude_none=True), "_key": key})


def tables(facts: Facts, params: Mapping[str, Any]) -> list[str]:
    return [t.name for t in facts.migration.tables if t.name in params.get("tables", [t.name])]


def unread(facts: Facts, source: str, what: str, shown: str) -> Finding | None:
    """INCONCLUSIVE where a source was not read within `UNREAD`; None where it was. shown: the finding's source."""
    status = facts.snapshot.sources.get(source)
    read = status.last_success if status is not None else None
    if read is not None and facts.now - read <= UNREAD:
        return None
    cause = f": {status.error}" if status is not None and status.error else ""
    return unknown(f"{what} {_since(read)}{cause}", shown, read)


def unread_since(
    facts: Facts, read: datetime | None, what: str, shown: str, longest: timedelta = UNREAD
) -> Finding | None:
    """INCONCLUSIVE where something was read longer ago than `longest`, or never; else None."""
    if read is not None and facts.now - read <= longest:
        return None
    return unknown(f"{what} {_since(read)}", shown, read)


def _since(read: datetime | None) -> str:
    return "were never read" if read is None else f"have not been read since {when(read)}"


def not_seen(facts: Facts, source: str, summary: str) -> Finding:
    """FAIL where the source was read and does not have it; INCONCLUSIVE where the source could not be read."""
    status = facts.snapshot.sources.get(source)
    if status is None or status.last_success is None:
        return unknown(f"{summary} (not read yet)", source)
    if status.error:
        return unknown(f"{summary} (reading failed: {status.error})", source, status.last_success)
    if facts.now - status.last_success > UNREAD:
        return unknown(f"{summary} (not read since {when(status.last_success)})", source, status.last_success)
    return pass_or_fail(False, summary, status.last_success, source)


def seconds(value: float | None) -> str:
    if value is None:
        return "unknown time"
    return measured(value)
