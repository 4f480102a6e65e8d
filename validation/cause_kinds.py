"""The kinds of causes for which rows differ: name, title and a hint of what to look at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CauseKind:
    """A cause in words; `{offsets}` in the hint stands for the offsets found."""

    title: str
    hint: str


# The hints reword the migration guide's "Common Issues & Solutions" (row counts, schemas) for the case at hand.
KINDS = {
    "timing": CauseKind(
        "Later than the other side's newest data",
        "The sides captured the source at different times: compare runs that start together, or filter on time.",
    ),
    "exclusion": CauseKind(
        "Rows that an exclusion rule drops",
        "One side keeps rows that the exclusion rule removes: check that both sides apply the identical rule.",
    ),
    "duplicates_baseline": CauseKind(
        "Copies that only the baseline has",
        "Duplicates are handled differently: check DISTINCT, GROUP BY and de-duplication of the candidate's query.",
    ),
    "duplicates_candidate": CauseKind(
        "Copies that only the candidate has",
        "Duplicates are handled differently: look for a join that multiplies rows or a missing DISTINCT.",
    ),
    "missing_rows": CauseKind(
        "Rows that only the baseline has",
        "Check exclusion rules, join types and filters of the candidate for rows that they lose.",
    ),
    "extra_rows": CauseKind(
        "Rows that only the candidate has",
        "Check exclusion rules, join types and filters of the baseline for rows that they lose.",
    ),
    "time_zone": CauseKind(
        "Times shifted by a constant offset",
        "The candidate's times are {offsets} from the baseline's: one side converts with another time zone.",
    ),
    "date_shift": CauseKind(
        "Dates off by one day",
        "The candidate's dates are {offsets} from the baseline's: a date is cut from a timestamp in another time zone "
        "on one side; cast in the same zone.",
    ),
    "precision": CauseKind(
        "Times equal but for fractions of a second",
        "One side cuts or rounds fractions of a second: cast both to the same precision.",
    ),
    "null_or_empty": CauseKind(
        "NULL on one side, empty text on the other",
        "One side turns NULL into '' or back: look for coalesce, concat or a text file in between.",
    ),
    "null_baseline": CauseKind(
        "NULL in the baseline, a value in the candidate",
        "The candidate fills what the baseline leaves empty: compare the joins and defaults that feed the column.",
    ),
    "null_candidate": CauseKind(
        "A value in the baseline, NULL in the candidate",
        "The candidate loses the value: look for a failed cast, a join without a partner or a renamed source column.",
    ),
    "not_read": CauseKind(
        "Text that is no value of the other side's type",
        "The text does not convert to the other side's type: look for blanks, leading zeros, other formats of numbers "
        "and dates.",
    ),
    "case": CauseKind(
        "Text equal but for case", "One side upper-cases or lower-cases: apply the same function on both."
    ),
    "space": CauseKind("Text equal but for surrounding space", "One side trims: apply the same trim on both."),
    "rounding": CauseKind(
        "Numbers equal but for rounding",
        "Scale or rounding differ: cast explicitly to the same DECIMAL and round at the same place.",
    ),
    "type": CauseKind(
        "Values of columns whose types differ",
        "The column has another type on each side (as INT and BIGINT): add an explicit cast.",
    ),
    "value": CauseKind(
        "Other values",
        "No pattern was recognized: look at the samples and at the expression that computes the column.",
    ),
}


CAUSES = frozenset(KINDS)
"""Names of all causes."""
