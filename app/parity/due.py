"""When a comparison is due by itself: after which pairs of runs, and when one that proved nothing is retried. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from app.parity.producers import same
from app.store.parity_records import ParityRun, ParityState, Producer

AUTO = "auto"
"""Trigger of a comparison that the worker requested."""

# An automatic comparison that proved nothing is tried again so long after it ended, each time of these once.
TRY_AGAIN = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15))


def due(
    past: Sequence[ParityRun], names: Sequence[str], baseline: Producer, candidate: Producer, moment: datetime
) -> bool:
    """Whether the pair that last wrote the sides is to be compared now. past: comparisons of these sides, newest first.

    names: the tables of a whole comparison. Both sides must have been written since the last pair that was compared,
    by an automatic comparison or by one that spared it, and the comparison must have proved something and be known to
    be of that pair. An automatic comparison that proved nothing is due again as TRY_AGAIN has it, unless it was
    cancelled.
    """
    if not (baseline.succeeded and candidate.succeeded and baseline.ended_at and candidate.ended_at):
        return False
    used: tuple[str, str] | None = None
    for run in reversed(past):
        compared = _compared(run, names)
        if compared and (run.trigger == AUTO or used is None or not _share(compared, used)):
            used = compared
    if used is not None and _share((baseline.id, candidate.id), used):
        return False
    pair, ended = (baseline, candidate), max(baseline.ended_at, candidate.ended_at)

    def of_pair(run: ParityRun) -> bool:
        # A comparison that was cancelled before its start names no producers.
        started = run.baseline is not None or run.candidate is not None
        return same((run.baseline, run.candidate), pair) if started else run.requested_at >= ended

    tries = [r for r in past if r.trigger == AUTO and of_pair(r)]
    if not tries:
        return True
    last = tries[0]
    if last.state is ParityState.CANCELLED or last.verdict != "not_proven" or last.finished_at is None:
        return False
    return len(tries) <= len(TRY_AGAIN) and moment - last.finished_at >= TRY_AGAIN[len(tries) - 1]


def _compared(run: ParityRun, names: Sequence[str]) -> tuple[str, str] | None:
    """Ids of the run and the update whose rows a whole comparison found equal or not; None where it did not."""
    b, c = run.baseline, run.candidate
    whole = (
        run.state is ParityState.DONE and run.verdict in ("identical", "different") and set(names) <= set(run.tables)
    )
    if not whole or run.pair is None or b is None or c is None or b.ended_at is None or c.ended_at is None:
        return None
    return b.id, c.id


def _share(one: tuple[str, str], other: tuple[str, str]) -> bool:
    return one[0] == other[0] or one[1] == other[1]
