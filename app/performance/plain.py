"""The assessment as plain values, for `--json` and reports."""

from __future__ import annotations

from typing import Any

from app.performance.assessment import Assessment, Measure
from app.performance.attribution import Bill, RunBill
from app.performance.projection import Projection


def measure_json(measure: Measure) -> dict[str, Any]:
    """A measure: medians and 95th percentiles of the sides, the ratio with its interval, and the runs behind them."""
    interval = measure.interval
    return {
        "measure": measure.title,
        "key": measure.key,
        "unit": measure.unit,
        "verdict": measure.verdict.value,
        "summary": measure.sentence(),
        "baseline": measure.baseline.median,
        "candidate": measure.candidate.median,
        "baseline_p95": measure.baseline.p95,
        "candidate_p95": measure.candidate.p95,
        "baseline_runs": measure.baseline.count,
        "candidate_runs": measure.candidate.count,
        "ratio": measure.ratio,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "confidence": interval.coverage if interval else None,
        "left_out": dict(measure.left_out),
        "not_final": sum(measure.left_out.values()),
        "pairs": [list(pair) for pair in measure.runs],
        "as_of": measure.as_of,
    }


def bill_json(bill: RunBill) -> dict[str, Any]:
    """A run with its run time and its bill."""
    return {
        "side": bill.run.side,
        "run_id": bill.run.run_id,
        "start": bill.run.start_time,
        "seconds": bill.run.run_seconds,
        "dbu": bill.dbu,
        "usd": bill.usd,
        "bill": bill.state.value,
        "final": bill.state is Bill.FINAL,
        "generated": bill.run.generated,
        "url": bill.run.run_page_url,
    }


def projection_json(found: Projection) -> dict[str, Any]:
    """The cost of the parallel period and of a month, in USD at list price."""
    return {
        "parallel_since": found.since,
        "parallel_until": found.until,
        "parallel_usd": {side: amount.usd for side, amount in found.spent.items()},
        "settled_until": found.settled_until,
        "settled_days": len(found.days),
        "needed_days": found.needed,
        "month": {"baseline": found.baseline, "candidate": found.candidate, "saving": found.saving},
    }


def assessment_json(assessment: Assessment) -> dict[str, Any]:
    """The judged measures, with the time from which pairs count and what the migration file relaxes."""
    return {
        "pairs_since": assessment.since,
        "relaxed": list(assessment.settings.relaxed),
        "measures": [measure_json(m) for m in assessment.measures],
    }
