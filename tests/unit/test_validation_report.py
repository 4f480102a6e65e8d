"""Parity: the report as JSON, text, HTML and CSV."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

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
from validation.views import as_csv, as_html, as_text


def _report() -> ParityReport:
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


def test_a_report_survives_json() -> None:
    report = _report()
    text = json.dumps(report.to_dict())
    assert ParityReport.from_dict(json.loads(text)) == report
    assert {
        "verdict",
        "reason",
        "baseline_rows",
        "candidate_rows",
        "missing_rows",
        "extra_rows",
        "modified_rows",
        "duplicate_rows",
        "column_mismatches",
        "schema_differences",
        "causes",
        "samples",
        "seconds",
    } <= set(json.loads(text))


@pytest.mark.parametrize("broken", [{"verdict": "perhaps"}, {"surprise": 1}, {"baseline": "c.s.a"}])
def test_what_is_no_report_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        ParityReport.from_dict({**_report().to_dict(), **broken})


def test_views_escape_what_tables_hold() -> None:
    page = as_html(_report())
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert "=cmd()" in as_csv(_report()) and ",=cmd()" not in as_csv(_report())
    whole = replace(_report(), not_compared={"g": "geometry has no exact normal form"}, within_tolerance_rows=4)
    for view in (as_html(whole), as_text(whole)):
        assert "geometry has no exact normal form" in view
    assert "equal within the tolerance 4" in as_text(whole)
    for part in ("Compared columns (2): id, x", "<td>schema</td><td>0.10</td>", "Equal within tolerance"):
        assert part in as_html(whole)
    text = as_text(_report())
    assert text.startswith("DIFFERENT: 1 missing rows") and "id=NULL" in text


def test_timing_has_its_own_label_and_still_is_different() -> None:
    report = replace(_report(), explained_by_time=True)
    assert report.label == "DIFFERENT, all explained by time" and report.verdict is Verdict.DIFFERENT
