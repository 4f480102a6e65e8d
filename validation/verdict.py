"""The verdict: a pure function of what was found."""

from __future__ import annotations

from collections.abc import Sequence

from validation.drilldown import Details
from validation.fingerprint import Scan
from validation.plan import Plan
from validation.report import SideState, Verdict
from validation.schema import Alignment


def judge(
    alignment: Alignment,
    plan: Plan | None,
    scan: Scan | None,
    details: Details | None,
    states: Sequence[SideState],
    final: bool | None,
) -> tuple[Verdict, str]:
    """Verdict and reason. plan and scan are None where rows could not be compared; final: None if it was not run.

    Doubts come before differences: data that moved under the comparison prove nothing in either direction.
    """
    for word, state in zip(("baseline", "candidate"), states, strict=True):
        if state.changed:
            return Verdict.NOT_PROVEN, (
                f"the {word} {state.name} changed while it was read ({state.version_before} before, "
                f"{state.version_after} after): compare again when nothing writes to it"
            )
        if state.writer is not None:
            return Verdict.NOT_PROVEN, (
                f"the {word} {state.name} is being written by {state.writer}: compare again once it has ended"
            )
    if details is not None and scan is not None:
        if details.balance != scan.balance:
            return Verdict.NOT_PROVEN, "a side changed between two reads: compare again when nothing writes to it"
        if details.unexplained_equal:
            return Verdict.NOT_PROVEN, (
                f"{details.unexplained_equal} rows have different hashes and equal values: "
                "a normal form is not exact; report this as a defect"
            )
    if final is False:
        return Verdict.NOT_PROVEN, (
            "the hashes agree and the values do not: a side changed between two reads, or a defect; compare again"
        )
    if alignment.decides:
        return Verdict.DIFFERENT, f"{schema_reason(alignment)}; {_row_reason(plan, scan, details)}"
    if details is not None and details.differing:
        hidden = _hidden(states)
        if hidden is not None:
            return Verdict.NOT_PROVEN, f"{_row_reason(plan, scan, details)} among those that may be read, but {hidden}"
        return Verdict.DIFFERENT, _row_reason(plan, scan, details)
    if plan is None or scan is None:
        listed = [f"{c}: {why}" for c, why in (plan.not_compared if plan else {}).items()]
        return Verdict.NOT_PROVEN, "; ".join(["rows were not compared", *listed])
    if plan.not_compared:
        text = "; ".join(f"{c}: {why}" for c, why in plan.not_compared.items())
        return Verdict.NOT_PROVEN, f"all else is equal, but not every column can be compared exactly: {text}"
    if scan.doubtful:
        return Verdict.NOT_PROVEN, (
            f"all hashes are equal, but {scan.doubtful} rows hold a VARIANT that mixes types deeper than can be "
            "compared exactly"
        )
    hidden = _hidden(states)
    if hidden is not None:
        return Verdict.NOT_PROVEN, f"all that may be read is equal, but {hidden}"
    if scan.rows == (0, 0) and plan.spec.has_condition and not plan.spec.allow_empty:
        return Verdict.NOT_PROVEN, (
            "no row of either side satisfies the filter, so nothing was compared: check the filter, or allow an empty "
            "comparison (--allow-empty, allow_empty in a migration file)"
        )
    if scan.rows == (0, 0):
        return Verdict.IDENTICAL, "both sides are empty (0 rows): nothing was compared" + (
            ", under this filter" if plan.spec.has_condition else ""
        )
    rows = f"{scan.rows[0]:,} rows"
    rounded = f"; compared after rounding: {', '.join(plan.rounded)}" if plan.rounded else ""
    if details is not None and details.tolerated:
        tolerated = f"{details.tolerated:,} of them equal within the tolerance"
        return Verdict.IDENTICAL, f"{rows} on both sides, {tolerated}{rounded}"
    how = " (every value compared)" if final else ""
    return Verdict.IDENTICAL, f"{rows} on both sides, all equal in {len(plan.columns)} columns{how}{rounded}"


def schema_reason(alignment: Alignment) -> str:
    """The deciding schema differences in half a sentence."""
    deciding = [d for d in alignment.differences if d.decides]
    shown = ", ".join(f"{d.column} ({d.aspect})" for d in deciding[:5])
    more = f" and {len(deciding) - 5} more" if len(deciding) > 5 else ""
    return f"the schemas differ: {shown}{more}"


def _hidden(states: Sequence[SideState]) -> str | None:
    """What keeps the acting user from seeing all rows and values, as a clause."""
    for word, state in zip(("baseline", "candidate"), states, strict=True):
        if state.hidden is not None:
            return (
                f"the {word} {state.name} has a {state.hidden}: rows or values may be hidden from who compares; "
                "compare as someone whom it does not concern, or lift it"
            )
    return None


def _row_reason(plan: Plan | None, scan: Scan | None, details: Details | None) -> str:
    if plan is None or scan is None:
        return "rows were not compared"
    if details is None:
        found = "the rows are equal in the columns that were compared"
    else:
        counts = ((details.missing, "missing"), (details.extra, "extra"), (details.modified, "modified"))
        parts = [f"{n:,} {word}" for n, word in counts if n]
        found = f"{', '.join(parts)} rows" if parts else "the rows are equal within the tolerance"
    if plan.not_compared:
        found += f" (not compared: {', '.join(plan.not_compared)})"
    if scan.doubtful:
        found += f" ({scan.doubtful:,} rows hold a VARIANT that cannot be compared exactly)"
    return found
