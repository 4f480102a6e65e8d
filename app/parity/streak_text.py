"""The streak in words, beside what the migration file requires; the same on pages, command line and gates."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from app.config.migration import Evidence, Migration
from app.durations import duration
from app.moments import when
from app.parity.streak import (
    LONGEST_PAUSE,
    Days,
    Ended,
    EndedProducer,
    NotCollected,
    NotCompared,
    NotIdentical,
    Streak,
)


def pairs_wanted(migration: Migration, pair: str) -> int | None:
    """How many clean pairs of runs of `pair` a gate waits for; None where no gate does."""
    gates = (g.evidence for g in migration.gates)
    return max((int(p["pairs"]) for p in _params(gates, "parity_streak", pair)), default=None)


def longest_pause(migration: Migration, pair: str) -> timedelta:
    """The longest time between two pairs of runs that a deliverable's row of days may have."""
    found = (d.evidence for p in migration.phases for s in p.steps for d in s.deliverables)
    hours = [float(p["longest_hours"]) for p in _params(found, "parallel_days", pair)]
    return timedelta(hours=min(hours)) if hours else LONGEST_PAUSE


def _params(evidence: Iterator[Evidence], kind: str, pair: str) -> Iterator[dict[str, Any]]:
    params = (e.checked_params.model_dump() for e in evidence if e.kind == kind)
    return (p for p in params if p["pair"] == pair)


def of_wanted(streak: Streak, wanted: int | None) -> str:
    """`28 of 28`; the count alone where no gate requires a number."""
    return f"{min(streak.runs, wanted)} of {wanted}" if wanted else f"{streak.runs:,}"


def days_word(days: float) -> str:
    """`7 days`, `6.8 days`, `18 h`: judged as it is shown, to a tenth of a day."""
    return duration(days * 86400)


def in_a_row(streak: Streak, migration: Migration, pair: str) -> str:
    """`7 days, 28 of 28 clean pairs of runs in a row`."""
    count = f"{of_wanted(streak, pairs_wanted(migration, pair))} clean pairs of runs in a row"
    days = streak.days(longest_pause(migration, pair))
    return f"{days_word(days.days)}, {count}" if days.days else count


def explained(streak: Streak, migration: Migration, pair: str) -> list[str]:
    """What ended the streak, what ended its days where that differs, and what it still lacks; a sentence each."""
    longest = longest_pause(migration, pair)
    days = streak.days(longest)
    sentences = []
    if streak.waiting is not None:
        sentences.append(f"After the streak: {waiting(streak.waiting)}.")
    if days.pause is not None:
        sentences.append(f"The days count from {when(days.since)}: before it {pause(days, longest)}.")
    if streak.ended is not None:
        sentences.append(
            f"{'The streak restarts where' if streak.runs else 'There is no streak:'} {why(streak.ended)}."
        )
    return sentences


def why(ended: Ended) -> str:
    """What ended a row, as a clause."""
    match ended:
        case NotIdentical(comparison, verdict):
            word = "failed" if verdict == "failed" else f"was {verdict.replace('_', ' ')}"
            return f"comparison {comparison} {word}"
        case NotCompared():
            return _left_out(ended) + " not compared" + _uncertain(ended)
        case NotCollected(since, runs, updates):
            what = " and ".join(
                w for w, lacking in (("runs of the old job", runs), ("updates of the new side", updates)) if lacking
            )
            return (
                f"it is unknown whether every pair of runs before {when(since)} was compared: "
                f"not all {what} have been collected"
            )


def waiting(found: NotCompared) -> str:
    """That the newest pair can still be compared, as a clause."""
    return _left_out(found) + " not compared yet" + _uncertain(found)


def pause(days: Days, longest: timedelta) -> str:
    """The pause that ended a row of days, as a clause."""
    passed = duration(days.pause or timedelta(0))
    return f"{passed} passed without a clean pair of runs, more than {duration(longest)}"


def _left_out(found: NotCompared) -> str:
    last = found.pairs[-1]
    named = f"run {_of(last.run)} and update {_of(last.update)}"
    count = len(found.pairs)
    return f"{named} were" if count == 1 else f"{count} pairs of runs, the last of them {named}, were"


def _of(written: EndedProducer) -> str:
    return f"{written.id} of {when(written.ended_at)}"


def _uncertain(found: NotCompared) -> str:
    if not found.uncertain:
        return ""
    return f" (comparison {found.uncertain[0]} counts nothing: it is not known what produced its sides)"
