"""A report of a comparison with every kind of difference."""

from __future__ import annotations

from datetime import UTC, datetime

from validation import (
    Cause,
    Cell,
    ComparisonSpec,
    Fingerprint,
    ParityReport,
    Sample,
    SampleKind,
    SchemaDifference,
    SideState,
    Timing,
    Verdict,
)


def full_report() -> ParityReport:
    return ParityReport(
        verdict=Verdict.DIFFERENT,
        reason="1 missing rows",
        baseline=SideState(
            "c.s.a", "MANAGED", "delta:1", "delta:1", rows=3, last_write=datetime(2026, 1, 1, tzinfo=UTC)
        ),
        candidate=SideState("c.s.b", "VIEW", rows=2),
        keys=("id",),
        columns=("id", "x"),
        missing_rows=1,
        extra_rows=0,
        modified_rows=1,
        duplicate_rows={"baseline": 0, "candidate": 1},
        column_mismatches={"x": 1},
        schema_differences=(SchemaDifference("comments", "x", "", "<b>", False),),
        causes=(Cause("case", "Text equal but for case", 1, ("x",), "Look."),),
        samples=(
            Sample(SampleKind.MISSING, {"id": "1"}, (Cell("x", "=cmd()", None),)),
            Sample(SampleKind.MODIFIED, {"id": None}, (Cell("x", "<script>", "b", False, "case"),)),
        ),
        notes=("a note",),
        fingerprints={"baseline": Fingerprint({"0": (3, 1, 2, 3, 4)}, "ab"), "candidate": Fingerprint({}, "cd")},
        started_at=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
        seconds=1.5,
        timings=(Timing("schema", 0.1),),
        requested_by="engineer@example.com",
        missed_difference_probability=2.0**-62,
        spec=ComparisonSpec("c.s.a", "c.s.b", keys=("id",)).to_dict(),
    )
