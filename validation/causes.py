"""Why rows differ: groups of differing rows that share an explanation, each with a hint of what to look at."""

from __future__ import annotations

from dataclasses import dataclass

from validation.drilldown import Details
from validation.report import Cause, SchemaDifference


@dataclass(frozen=True)
class _Kind:
    title: str
    hint: str


# The hints reword the migration guide's "Common Issues & Solutions" (row counts, schemas) for the case at hand.
_KINDS = {
    "timing": _Kind(
        "Later than the other side's newest data",
        "The sides captured the source at different times: compare runs that start together, or filter on time.",
    ),
    "exclusion": _Kind(
        "Rows that an exclusion rule drops",
        "One side keeps rows that the exclusion rule removes: check that both sides apply the identical rule.",
    ),
    "duplicates_baseline": _Kind(
        "Copies that only the baseline has",
        "Duplicates are handled differently: check DISTINCT, GROUP BY and de-duplication of the candidate's query.",
    ),
    "duplicates_candidate": _Kind(
        "Copies that only the candidate has",
        "Duplicates are handled differently: look for a join that multiplies rows or a missing DISTINCT.",
    ),
    "missing_rows": _Kind(
        "Rows that only the baseline has",
        "Check exclusion rules, join types and filters of the candidate for rows that they lose.",
    ),
    "extra_rows": _Kind(
        "Rows that only the candidate has",
        "Check exclusion rules, join types and filters of the baseline for rows that they lose.",
    ),
    "time_zone": _Kind(
        "Times shifted by a constant offset",
        "The shift is a whole number of quarter hours: one side converts with another time zone.",
    ),
    "date_shift": _Kind(
        "Dates off by one day",
        "A date is cut from a timestamp in another time zone on one side: cast in the same zone.",
    ),
    "precision": _Kind(
        "Times equal but for fractions of a second",
        "One side cuts or rounds fractions of a second: cast both to the same precision.",
    ),
    "null_or_empty": _Kind(
        "NULL on one side, empty text on the other",
        "One side turns NULL into '' or back: look for coalesce, concat or a text file in between.",
    ),
    "null_baseline": _Kind(
        "NULL in the baseline, a value in the candidate",
        "The candidate fills what the baseline leaves empty: compare the joins and defaults that feed the column.",
    ),
    "null_candidate": _Kind(
        "A value in the baseline, NULL in the candidate",
        "The candidate loses the value: look for a failed cast, a join without a partner or a renamed source column.",
    ),
    "case": _Kind("Text equal but for case", "One side upper-cases or lower-cases: apply the same function on both."),
    "space": _Kind("Text equal but for surrounding space", "One side trims: apply the same trim on both."),
    "rounding": _Kind(
        "Numbers equal but for rounding",
        "Scale or rounding differ: cast explicitly to the same DECIMAL and round at the same place.",
    ),
    "type": _Kind(
        "Values of columns whose types differ",
        "The column has another type on each side (as INT and BIGINT): add an explicit cast.",
    ),
    "value": _Kind(
        "Other values",
        "No pattern was recognized: look at the samples and at the expression that computes the column.",
    ),
}


def causes_of(details: Details, differences: tuple[SchemaDifference, ...]) -> tuple[Cause, ...]:
    """All causes, those that explain whole rows first, then by rows covered."""
    out: list[Cause] = []

    def add(name: str, rows: int, columns: tuple[str, ...] = (), title: str | None = None) -> None:
        if rows:
            out.append(Cause(name, title or _KINDS[name].title, rows, columns, _KINDS[name].hint))

    flags = details.flags
    add("timing", flags.get("late", 0))
    add("exclusion", flags.get("excluded", 0))
    add("duplicates_baseline", flags.get("copies_baseline", 0))
    add("duplicates_candidate", flags.get("copies_candidate", 0))
    add("missing_rows", details.missing - flags.get("copies_baseline", 0))
    add("extra_rows", details.extra - flags.get("copies_candidate", 0))

    typed = {d.column for d in differences if d.aspect == "types"}
    grouped: dict[str, dict[str, int]] = {}
    for column, kinds in details.columns.items():
        for kind, rows in kinds.items():
            name = kind
            if kind == "offset":
                name = "date_shift" if _is_day(details, column) else "time_zone"
            elif kind == "value" and column in typed:
                name = "type"
            grouped.setdefault(name, {})[column] = rows
    for name, columns in sorted(grouped.items(), key=lambda g: -sum(g[1].values())):
        ordered = tuple(sorted(columns, key=lambda c: (-columns[c], c)))
        title = None
        if name == "time_zone":
            spans = [details.offsets[c] for c in ordered if c in details.offsets]
            low, high = min(s[0] for s in spans), max(s[1] for s in spans)
            same = low == high
            title = f"Times shifted by {_hours(low)}" + ("" if same else f" to {_hours(high)}")
        add(name, sum(columns.values()), ordered, title)
    return tuple(out)


def _is_day(details: Details, column: str) -> bool:
    low, high = details.offsets.get(column, (0.0, 0.0))
    return abs(low) == 86400 and abs(high) == 86400


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:+g} h"
