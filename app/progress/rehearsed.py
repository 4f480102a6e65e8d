"""What a rehearsal covered, from its stored plan: a pure function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.config.migration import Migration


def lacking(plan: Mapping[str, Any], migration: Migration, share: float) -> tuple[bool, str]:
    """Why a verified rehearsal is no evidence, and whether that is known (False: it cannot be told); "" where it is.

    It is where it copied both sides of every table, at least `share` of the rows of each, and compared what the name
    served with the copies of both sides: so it went forward and back.
    """
    try:
        steps = [p["step"] for p in plan["steps"]]
        copies = {s["source"]: s for s in steps if s["type"] == "CopyTable"}
        compared = {(s["relation"], s["reference"]) for s in steps if s["type"] == "VerifySame"}
        origin = {s["target"]: s["source"] for s in steps if s["type"] == "CopyTable"}
        rows = {w["table"]: (w["old_rows"], w["new_rows"]) for w in plan["observation"]["written"]}
    except (KeyError, TypeError):
        return False, "what it covered is not known"
    for t in migration.tables:
        old, new = copies.get(t.baseline), copies.get(t.candidate)
        if old is None or new is None:
            return True, f"it did not copy both sides of {t.name}"
        served = {_origin(reference, origin) for relation, reference in compared if relation == old["target"]}
        if not {t.baseline, t.candidate} <= served:
            return True, f"it did not go both ways with {t.name}"
        found = [_share(s["rows"], n) for s, n in zip((old, new), rows.get(t.name, (None, None)), strict=True)]
        if any(f is None for f in found):
            return (
                False,
                f"it copied at most {old['rows']:,} rows of each table, and how many {t.name} had is not known",
            )
        if (least := min(f for f in found if f is not None)) < share:
            return True, f"it copied {least:.1%} of the rows of {t.name}; {share:.0%} are needed"
    return True, ""


def _origin(name: str, origin: Mapping[str, str]) -> str:
    while name in origin:
        name = origin[name]
    return name


def _share(limit: int | None, rows: int | None) -> float | None:
    if limit is None:
        return 1.0
    if rows is None:
        return None
    return 1.0 if rows == 0 else min(1.0, limit / rows)
