"""The streak as the store proves it now: comparisons, and the runs and updates that were collected since."""

from __future__ import annotations

from collections.abc import Sequence

from app.parity.streak import Clean, Collected, Comparison, EndedProducer, Pair, Streak
from app.store.open import Store
from app.store.parity_records import ParityRun, ParityState


def current_streak(store: Store, tables: Sequence[str], sides: str = "production") -> Streak:
    """The clean pairs of runs in a row over all of `tables`, newest backwards. Raises StoreError.

    Cancelled comparisons and those of some tables only are left out: they cover no pair.
    """
    wanted = set(tables)
    clean = Clean.of(_comparison(run) for run in store.parity.ended(sides) if wanted <= set(run.tables))
    if clean.since is None:
        return Streak(ended=clean.ended)
    old = store.collected.successful_runs("baseline", clean.since)
    new = store.collected.completed_updates(sides, clean.since)
    return clean.streak(
        len(wanted),
        Collected([EndedProducer(*r) for r in old], store.collected.complete_until("runs:baseline")),
        Collected([EndedProducer(*u) for u in new], store.collected.complete_until(f"updates:{sides}")),
    )


def _comparison(run: ParityRun) -> Comparison:
    assert run.finished_at is not None  # it has ended
    verdict = "failed" if run.state is ParityState.FAILED else run.verdict or "not_proven"
    old, new, pair = run.baseline, run.candidate, None
    if run.pair is not None and old and new and old.ended_at and new.ended_at:
        pair = Pair(EndedProducer(old.id, old.ended_at), EndedProducer(new.id, new.ended_at))
    return Comparison(run.id, run.finished_at, verdict, pair)
