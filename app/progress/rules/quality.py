"""Rules over expectation results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.progress.evidence import Finding, Status, pass_or_fail, unknown
from app.progress.expectation_counts import NO_COUNTS, Counts
from app.progress.facts import Facts
from app.progress.rules.base import rule
from app.store.collected.records import ExpectationRecord

SOURCE = "pipeline events"
NEVER = "No expectation has been reported by a real update"


@rule
def expectations_tracked(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The newest refresh of every dataset with expectations reported passed and failed counts.

    max_age_hours: of the oldest of these counts.
    """
    counts = facts.expectations.get(params["environment"], NO_COUNTS)
    found = counts.all
    if not found:
        return unknown(NEVER, SOURCE)
    if empty := [e for e in found if not _checked(e)]:
        return unknown(_no_rows(empty), SOURCE, _as_of(counts))
    text = f"{len(found)} expectations on {len(counts.newest)} datasets are reported"
    passed = pass_or_fail(True, text, _as_of(counts), SOURCE, *_updates(found))
    return passed.aged(facts.now, params["max_age_hours"])


@rule
def expectations_passing(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """In the newest refresh of each dataset no row failed an expectation; as `expectations_hold` with `max_share` 0."""
    return _expectations(facts, {**params, "max_share": 0.0})


@rule
def expectations_hold(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """In the newest refresh of each dataset no expectation was failed by more than `max_share` of its rows.

    An expectation of the action `drop` removes rows by design: at most `max_dropped_share` of them. allowed: the share
    of one expectation, by `name` or `dataset.name`, whatever its action. Counts of an update that failed count as any
    other. Never PASS: no rows checked, a refresh that failed, or counts older than `max_age_hours`.
    """
    return _expectations(facts, params)


@dataclass(frozen=True)
class _Over:
    """An expectation that more rows failed than may."""

    count: ExpectationRecord
    share: float
    allowed: float

    @property
    def text(self) -> str:
        e = self.count
        dropped = " were dropped" if e.action and e.action.lower() == "drop" else ""
        return (
            f"{e.name} on {e.dataset}: {e.failed:,} of {_checked(e):,} rows ({_percent(self.share)}){dropped}, "
            f"{f'at most {_percent(self.allowed)} may' if self.allowed else 'none may'}"
        )


def _expectations(facts: Facts, params: Mapping[str, Any]) -> Finding:
    counts = facts.expectations.get(params["environment"], NO_COUNTS)
    found = counts.all
    if not found:
        return unknown(NEVER, SOURCE)
    as_of = _as_of(counts)
    over = sorted((o for e in found if (o := _over(e, params))), key=lambda o: -o.share)
    if over:
        more = f"; and {len(over) - 3} more" if len(over) > 3 else ""
        text = f"{len(over)} of {len(found)} expectations do not hold: {'; '.join(o.text for o in over[:3])}{more}"
        newest = max(o.count.timestamp for o in over)
        return pass_or_fail(False, text, newest, SOURCE, *_updates([o.count for o in over]))
    if counts.failed:
        which = ", ".join(f"{dataset} (update {update})" for dataset, update in sorted(counts.failed.items()))
        return Finding(Status.INCONCLUSIVE, f"A newer refresh failed: {which}", as_of, SOURCE, _updates(found))
    if empty := [e for e in found if not _checked(e)]:
        return unknown(_no_rows(empty), SOURCE, as_of)
    failed = sum(e.failed for e in found)
    text = f"{len(found)} expectations on {len(counts.newest)} datasets hold ({failed:,} rows failed one)"
    return pass_or_fail(True, text, as_of, SOURCE, *_updates(found)).aged(facts.now, params["max_age_hours"])


def _over(e: ExpectationRecord, params: Mapping[str, Any]) -> _Over | None:
    usual = params["max_dropped_share"] if e.action and e.action.lower() == "drop" else params["max_share"]
    own = params.get("allowed") or {}
    allowed = float(own.get(f"{e.dataset}.{e.name}", own.get(e.name, usual)))
    share = e.failed / _checked(e) if e.failed else 0.0
    return _Over(e, share, allowed) if share > allowed else None


def _checked(e: ExpectationRecord) -> int:
    return e.passed + e.failed


def _no_rows(empty: list[ExpectationRecord]) -> str:
    names = ", ".join(f"{e.name} on {e.dataset}" for e in empty[:3]) + (", …" if len(empty) > 3 else "")
    return f"{len(empty)} expectations checked no rows: {names}"


def _as_of(counts: Counts) -> datetime:
    """Time of the oldest of the newest counts."""
    return min(max(e.timestamp for e in found) for found in counts.newest.values())


def _updates(found: list[ExpectationRecord]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(e.update_id for e in sorted(found, key=lambda e: e.timestamp, reverse=True)))


def _percent(share: float) -> str:
    """Enough digits to tell a small share from none."""
    return f"{share:.2%}" if share >= 0.0001 or not share else f"{share:.1e}"
