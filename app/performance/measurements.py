"""Old against new: seconds, DBU and list-price USD per run, as points and as medians."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from app.progress.facts import Facts


@dataclass(frozen=True)
class Point:
    """One successful run of a side. usd at list price; None where billing has no price or no row yet."""

    side: str
    run_id: int
    start: datetime
    seconds: float | None
    dbu: float | None
    usd: float | None
    final: bool
    generated: bool
    url: str


@dataclass(frozen=True)
class Summary:
    """Medians of both sides for one measure. ratio: new over old, None without both; runs: how many points each."""

    measure: str
    unit: str
    baseline: float | None
    candidate: float | None
    baseline_runs: int
    candidate_runs: int
    not_final: int

    @property
    def ratio(self) -> float | None:
        """New over old."""
        if self.baseline is None or self.candidate is None or self.baseline <= 0:
            return None
        return self.candidate / self.baseline


def points(facts: Facts, *, generated: bool = True) -> list[Point]:
    """Successful runs of both jobs, newest first, with cost where it is billed. generated: with made-up history."""
    costs = {(c.side, c.run_id): c for c in facts.costs}
    found = []
    for run in facts.snapshot.runs:
        if run.side not in ("baseline", "candidate") or run.result_state != "SUCCESS":
            continue
        if run.generated and not generated:
            continue
        cost = costs.get((run.side, run.run_id))
        found.append(
            Point(
                run.side,
                run.run_id,
                run.start_time,
                run.run_seconds,
                # With no record yet, 0 DBU says nothing.
                cost.dbu if cost and cost.records else None,
                cost.usd if cost else None,
                cost.final if cost else False,
                run.generated,
                run.run_page_url,
            )
        )
    return found


def summaries(found: Sequence[Point]) -> tuple[Summary, Summary, Summary]:
    """Medians of run time, DBU and USD over the given points."""

    def of(measure: str, unit: str, attribute: str) -> Summary:
        sides = {
            side: [v for p in found if p.side == side and (v := getattr(p, attribute)) is not None]
            for side in ("baseline", "candidate")
        }
        pending = sum(1 for p in found if not p.final) if attribute != "seconds" else 0
        old, new = sides["baseline"], sides["candidate"]
        return Summary(
            measure, unit, median(old) if old else None, median(new) if new else None, len(old), len(new), pending
        )

    return of("Run time", "s", "seconds"), of("DBU", "DBU", "dbu"), of("Cost at list price", "USD", "usd")
