"""Run time, DBU and list-price cost of successful runs: baseline against candidate, per run and as medians."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from app.store.collected.records import JobRunRecord, RunCost, UsageRecord

SIDES = ("baseline", "candidate")


@dataclass(frozen=True)
class MeasuredRun:
    """One successful run of a side. seconds: run time. usd: at list price.

    dbu and usd are None while billing has no record of the run, usd also where a record has no price. final: billing
    adds no more records to it.
    """

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
    """Medians of both sides for one measure, None for a side without runs. not_final: runs whose billing may grow."""

    measure: str
    unit: str
    baseline: float | None
    candidate: float | None
    baseline_runs: int
    candidate_runs: int
    not_final: int

    @property
    def ratio(self) -> float | None:
        """Candidate over baseline; None unless both are known and the baseline is above zero."""
        if self.baseline is None or self.candidate is None or self.baseline <= 0:
            return None
        return self.candidate / self.baseline


def measured_runs(
    runs: Iterable[JobRunRecord], costs: Iterable[RunCost], *, generated: bool = True
) -> list[MeasuredRun]:
    """Successful runs of both jobs in the given order, each with its cost. generated: includes generated history."""
    by_run = {(c.side, c.run_id): c for c in costs}
    found = []
    for run in runs:
        if run.side not in SIDES or run.result_state != "SUCCESS" or (run.generated and not generated):
            continue
        cost = by_run.get((run.side, run.run_id))
        found.append(
            MeasuredRun(
                run.side,
                run.run_id,
                run.start_time,
                run.run_seconds,
                # Before the first record, a sum of 0 DBU is no measurement.
                cost.dbu if cost and cost.records else None,
                cost.usd if cost else None,
                cost.final if cost else False,
                run.generated,
                run.run_page_url,
            )
        )
    return found


def summaries(found: Sequence[MeasuredRun]) -> tuple[Summary, Summary, Summary]:
    """Medians of run time (s), DBU and cost (USD) over the given runs."""

    def of(measure: str, unit: str, attribute: str) -> Summary:
        values = {
            side: [v for p in found if p.side == side and (v := getattr(p, attribute)) is not None] for side in SIDES
        }
        pending = sum(1 for p in found if not p.final) if attribute != "seconds" else 0
        old, new = values["baseline"], values["candidate"]
        return Summary(
            measure, unit, median(old) if old else None, median(new) if new else None, len(old), len(new), pending
        )

    return of("Run time", "s", "seconds"), of("DBU", "DBU", "dbu"), of("Cost at list price", "USD", "usd")


@dataclass(frozen=True)
class NewestRuns:
    """One measure of the newest runs of each side, newest first, as (value, end of the run).

    not_final: successful runs that were left out because their billing may grow.
    """

    baseline: tuple[tuple[float, datetime], ...]
    candidate: tuple[tuple[float, datetime], ...]
    not_final: int = 0

    @property
    def medians(self) -> tuple[float, float]:
        """Of baseline and candidate. Raises StatisticsError for a side without runs."""
        return median(v for v, _ in self.baseline), median(v for v, _ in self.candidate)

    @property
    def as_of(self) -> datetime:
        """End of the newest run of the side whose newest run is older."""
        return min(self.baseline[0][1], self.candidate[0][1])


def newest_run_times(runs: Sequence[JobRunRecord], limit: int) -> NewestRuns:
    """Run times in seconds of the newest `limit` successful, measured runs of each side; `runs` newest first."""

    def of(side: str) -> tuple[tuple[float, datetime], ...]:
        chosen = [(r.run_seconds, r) for r in _successful(runs, side) if r.run_seconds is not None]
        return tuple((taken, r.end_time or r.start_time) for taken, r in chosen[:limit])

    return NewestRuns(of("baseline"), of("candidate"))


def newest_dbu(runs: Sequence[JobRunRecord], costs: Sequence[RunCost], limit: int) -> NewestRuns:
    """DBU of the newest `limit` successful, measured runs of each side whose billing is final; `costs` newest first."""
    succeeded = {r.run_id for side in SIDES for r in _successful(runs, side)}
    billed = [c for c in costs if c.side in SIDES and not c.generated and c.run_id in succeeded]

    def of(side: str) -> tuple[tuple[float, datetime], ...]:
        return tuple((c.dbu, c.end or c.start) for c in [c for c in billed if c.side == side and c.final][:limit])

    return NewestRuns(of("baseline"), of("candidate"), sum(not c.final for c in billed))


def _successful(runs: Iterable[JobRunRecord], side: str) -> list[JobRunRecord]:
    """Generated history measures nothing and is left out."""
    return [r for r in runs if r.side == side and not r.generated and not r.active and r.result_state == "SUCCESS"]


@dataclass(frozen=True)
class BilledSum:
    """Billing records of one side, SKU, compute and price, added up. usd is None where no list price holds."""

    side: str
    sku: str
    product: str | None
    compute: str
    list_price_usd: float | None
    generated: bool
    dbu: float
    usd: float | None
    records: int


def billed_sums(usage: Iterable[UsageRecord], *, generated: bool) -> list[BilledSum]:
    """Adds billing records up. generated: includes those of generated history."""
    grouped: dict[tuple[str, str, str | None, str, float | None, bool], list[UsageRecord]] = {}
    for u in usage:
        if u.generated and not generated:
            continue
        features = [word for word, on in (("serverless", u.serverless), ("Photon", u.photon)) if on]
        key = (u.side, u.sku, u.product, ", ".join(features) or "classic", u.list_price_usd, u.generated)
        grouped.setdefault(key, []).append(u)
    return [
        BilledSum(
            *key,
            dbu=sum(u.dbu for u in records),
            usd=None if key[4] is None else sum(u.usd or 0.0 for u in records),
            records=len(records),
        )
        for key, records in sorted(grouped.items(), key=lambda item: str(item[0]))
    ]
