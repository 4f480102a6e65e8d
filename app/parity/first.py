"""The first comparison in a store: how far it is. At the first local start it follows the first runs of both jobs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from app.durations import duration
from app.store.open import Store

_EVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class FirstComparison:
    """tables: 0 while the comparison is not requested yet. seconds: since its request."""

    done: int = 0
    tables: int = 0
    seconds: float = 0.0

    @property
    def fraction(self) -> float:
        """Share of the tables that are compared, 0 to 1."""
        return self.done / self.tables if self.tables else 0.0

    @property
    def sentence(self) -> str:
        """One sentence for people."""
        if not self.tables:
            return "Both jobs have run. The worker compares their tables next."
        return f"The first comparison is running: {self.done} of {self.tables} tables, {duration(self.seconds, 0)}"


def first_comparison(store: Store, moment: datetime) -> FirstComparison | None:
    """The first comparison of old and new side where it runs or follows; None where one has ended or a run is missing.

    Raises StoreError.
    """
    runs = store.parity.runs(sides="production", limit=20)
    if any(r.finished_at for r in runs):
        return None
    if runs:
        results = store.parity.table_results(runs[0].id)
        done = sum(t.finished_at is not None for t in results)
        return FirstComparison(done, len(results), (moment - runs[0].requested_at).total_seconds())
    collected = store.collected
    if collected.successful_runs("baseline", _EVER) and collected.completed_updates("production", _EVER):
        return FirstComparison()
    return None
