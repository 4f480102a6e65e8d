"""Why rows differ: groups of differing rows that share an explanation, each with a hint of what to look at."""

from __future__ import annotations

from collections import Counter

from databricks_client.names import all_folded, folded
from validation.cause_kinds import KINDS
from validation.drilldown import LATE, Details
from validation.report import Cause, SchemaDifference

_SHIFTED = {"time_zone": "Times shifted by", "date_shift": "Dates shifted by"}

_NEARLY_ALL = 0.95
"""Share of a column's differing values that the offsets of one time zone must cover to be the cause."""

_SUMMER_TIME = {1800, 3600}
"""Seconds by which a zone's two offsets differ: an hour, half an hour on Lord Howe Island."""


def causes_of(
    details: Details, differences: tuple[SchemaDifference, ...], watermark: tuple[str, ...] = ()
) -> tuple[Cause, ...]:
    """All causes, those that explain whole rows first, then by rows covered. watermark: the columns that show lateness.

    Where a time zone shifts the watermark itself in nearly all modified rows, no row is called late because of it.
    """
    out: list[Cause] = []

    def add(
        name: str, rows: int, columns: tuple[str, ...] = (), title: str | None = None, hint: str | None = None
    ) -> None:
        if rows:
            out.append(Cause(name, title or KINDS[name].title, rows, columns, hint or KINDS[name].hint))

    typed = {d.column for d in differences if d.aspect == "types"}
    grouped: dict[str, dict[str, int]] = {}
    shifts: dict[str, set[int]] = {}
    for column, kinds in details.columns.items():
        found = dict(kinds)
        offsets = details.offsets.get(column, {})
        constant = _constant(offsets, found.get("offset", 0) + found.get("value", 0))
        if constant:
            name = "date_shift" if abs(constant[0]) == 86400 else "time_zone"
            shifts.setdefault(name, set()).update(constant)
            found[name] = sum(offsets[o] for o in constant)
            found["offset"] -= found[name]
        # Shifts that have no offset in common are no sign of a time zone.
        found["value"] = found.get("value", 0) + found.pop("offset", 0)
        for kind, rows in found.items():
            if rows:
                grouped.setdefault("type" if kind == "value" and column in typed else kind, {})[column] = rows
    clocks = all_folded(watermark)
    in_zone = [n for column, n in grouped.get("time_zone", {}).items() if folded(column) in clocks]
    # One row may be an hour later by chance.
    late = not any(n > 1 and n >= _NEARLY_ALL * details.modified for n in in_zone)
    reasons = _reasons(details, late)
    add("timing", sum(rows for (reason, _), rows in reasons.items() if reason == LATE))
    add("exclusion", reasons["excluded", "missing"] + reasons["excluded", "extra"])
    add("duplicates_baseline", reasons["copies", "missing"])
    add("duplicates_candidate", reasons["copies", "extra"])
    for name, kind, rows in (("missing_rows", "missing", details.missing), ("extra_rows", "extra", details.extra)):
        add(name, rows - sum(n for (_, of_kind), n in reasons.items() if of_kind == kind))
    for name, columns in sorted(grouped.items(), key=lambda g: -sum(g[1].values())):
        ordered = tuple(sorted(columns, key=lambda c: (-columns[c], c)))
        title = hint = None
        if name in shifts:
            offsets_text = " or ".join(_offset(o) for o in sorted(shifts[name]))
            title = f"{_SHIFTED[name]} {offsets_text}"
            hint = KINDS[name].hint.format(offsets=offsets_text)
        add(name, sum(columns.values()), ordered, title, hint)
    return tuple(out)


def _reasons(details: Details, late: bool) -> Counter[tuple[str, str]]:
    """Rows by the one reason that explains them and by their kind: lateness before any other, where it counts."""
    found: Counter[tuple[str, str]] = Counter()
    for code, rows in details.reasons.items():
        names, _, kind = code.partition("/")
        for reason in names.split("+"):
            if late or reason != LATE:
                found[reason, kind] += rows
                break
    return found


def _constant(offsets: dict[int, int], differing: int) -> tuple[int, ...]:
    """The one offset, or the two of summer and winter, that nearly all differing times of a column share; else none."""
    by_rows = sorted(offsets, key=lambda o: (-offsets[o], o))
    for many in (1, 2):
        shared = tuple(by_rows[:many])
        if len(shared) < many or (many == 2 and abs(shared[0] - shared[1]) not in _SUMMER_TIME):
            break
        if sum(offsets[o] for o in shared) >= _NEARLY_ALL * differing:
            return shared
    return ()


def _offset(seconds: int) -> str:
    return f"{seconds // 86400:+d} day" if seconds % 86400 == 0 else f"{seconds / 3600:+g} h"
