"""Parity: the report as JSON, text, HTML and CSV."""

from __future__ import annotations

import csv
import html
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.reports import full_report
from validation import (
    Cell,
    ComparisonSpec,
    ParityReport,
    Sample,
    SampleKind,
    SchemaAspect,
    Tolerance,
    Verdict,
)
from validation.report import Origin, Provenance
from validation.views import as_csv, as_html, as_text, options


def test_a_report_survives_json() -> None:
    report = full_report()
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
        ParityReport.from_dict({**full_report().to_dict(), **broken})


def test_views_escape_what_tables_hold() -> None:
    page = as_html(full_report())
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert "=cmd()" in as_csv(full_report()) and ",=cmd()" not in as_csv(full_report())
    whole = replace(full_report(), not_compared={"g": "sketch has no exact normal form"}, within_tolerance_rows=4)
    for view in (as_html(whole), as_text(whole)):
        assert "sketch has no exact normal form" in view
    assert "equal within the tolerance 4" in as_text(whole)
    for part in ("Compared columns (2): id, x", "<td>schema</td><td>0.10</td>", "Equal within tolerance"):
        assert part in as_html(whole)
    text = as_text(full_report())
    assert text.startswith("DIFFERENT: 1 missing rows") and "id=NULL" in text


def test_a_report_tells_what_was_asked_for() -> None:
    spec = ComparisonSpec(
        "a", "b", ("id",), where="x > 1", candidate_where="y > 1", excluded_columns=frozenset({"loaded"}),
        column_mapping={"old": "new"}, column_tolerances={"n": Tolerance(0.5, 0.1), "at": Tolerance(seconds=2)},
        row_threshold=3, deciding=frozenset({SchemaAspect.TYPES}), baseline_exclusion="test",
    )  # type: ignore[arg-type]  # fmt: skip
    report = replace(full_report(), spec=spec.to_dict())
    for view in (as_text(report), html.unescape(as_html(report))):
        for told in (
            "rows where: x > 1", "candidate's rows where: y > 1", "columns left out: loaded", "old to new",
            "n may differ by 0.5 or 0.1 of the value", "at may differ by 2 s", "threshold 3 differing rows",
            "of the schema decide: types", "exclusion rule explains: test",
        ):  # fmt: skip
            assert told in view
    assert options(replace(full_report(), spec={})) == []
    pinned = ComparisonSpec(
        "a", "b", ("id",), tolerance=Tolerance(0.5), column_tolerances={"n": Tolerance()}, candidate_exclusion="x",
        baseline_version=0,
    )  # type: ignore[arg-type]  # fmt: skip
    assert options(replace(full_report(), spec=pinned.to_dict())) == [
        "candidate's rows that an exclusion rule explains: x",
        "baseline's version: 0",
        "every column but n may differ by 0.5",
    ]
    of_before = {**ComparisonSpec("a", "b").to_dict(), "sensitive_columns": ["at"], "watermark_columns": ["at"]}
    assert "does not accept" in options(replace(full_report(), spec=of_before))[0]


def test_csv_tells_null_from_an_empty_text_and_formulas_from_numbers() -> None:
    cells = (Cell("x", None, ""), Cell("y", "-1.5e3", "-1+cmd()"), Cell("z", 'a"b', "é\n"))
    lines = as_csv(replace(full_report(), samples=(Sample(SampleKind.MODIFIED, {"id": None}, cells),)))
    rows = list(csv.reader(io.StringIO(lines)))
    assert [r[2:5] for r in rows[1:]] == [["x", "", ""], ["y", "-1.5e3", "'-1+cmd()"], ["z", 'a"b', "é\n"]]
    assert lines.splitlines()[1] == '"modified",,"x",,"","value","False"'


def test_no_control_character_is_in_any_view() -> None:
    hostile = "a\x00\x1b[2J\x9b\x7f\u202e\ud800\r"
    cells = (Cell(hostile, hostile, None, False, hostile),)
    report = replace(
        full_report(), reason=hostile, keys=(hostile,), columns=(hostile,), not_compared={hostile: hostile},
        samples=(Sample(SampleKind.MODIFIED, {hostile: hostile}, cells),), notes=(hostile,), requested_by=hostile,
    )  # fmt: skip
    for view in (as_html(report, Provenance(Origin(hostile), None, hostile)), as_text(report), as_csv(report)):
        view.encode("utf-8")
        assert not [c for c in "\x00\x1b\x9b\x7f\u202e\ud800" if c in view] and "\\x00\\x1b[2J" in view
    assert as_text(replace(full_report(), reason="a\nIDENTICAL")).startswith("DIFFERENT: a\\nIDENTICAL\n")


def test_a_row_that_is_all_key_is_in_every_view() -> None:
    report = replace(full_report(), samples=(Sample(SampleKind.MISSING, {"id": "4711"}, ()),))
    assert list(csv.reader(io.StringIO(as_csv(report))))[1][:2] == ["missing", "4711"]
    assert "id=4711" in as_html(report) and "4711" in as_text(report)


def test_rows_that_could_not_be_counted_are_told_so_in_text_too() -> None:
    report = replace(full_report(), duplicate_rows={"baseline": None, "candidate": None})
    assert "duplicates not counted / not counted" in as_text(report)


def test_timing_has_its_own_label_and_still_is_different() -> None:
    report = replace(full_report(), explained_by_time=True)
    assert report.label == "DIFFERENT, all explained by time" and report.verdict is Verdict.DIFFERENT


WRITTEN = Provenance(
    Origin("run 42", datetime(2026, 1, 1, 6, tzinfo=UTC)),
    Origin("update u1 of run 43", datetime(2026, 1, 1, 9, tzinfo=UTC)),
    "the sides were written 180 min apart <b>",
)


def test_a_filed_report_tells_what_wrote_the_sides_and_what_warns_of_them() -> None:
    page = as_html(full_report(), WRITTEN)
    for told in (
        "<strong>Warning: the sides were written 180 min apart &lt;b&gt;</strong>",
        "<td>baseline</td><td>run 42</td><td>2026-01-01T06:00:00+00:00</td>",
        "<td>candidate</td><td>update u1 of run 43</td><td>2026-01-01T09:00:00+00:00</td>",
        "Time between the two: 180 min.",
    ):
        assert told in page
    filed = json.loads(json.dumps(full_report().to_dict(WRITTEN)))
    assert filed["provenance"] == {
        "baseline": {"what": "run 42", "ended_at": "2026-01-01T06:00:00+00:00"},
        "candidate": {"what": "update u1 of run 43", "ended_at": "2026-01-01T09:00:00+00:00"},
        "warning": "the sides were written 180 min apart <b>",
        "seconds_apart": 10800.0,
    }
    assert ParityReport.from_dict(filed) == full_report()


def test_what_is_not_known_of_the_sides_is_told_as_unknown() -> None:
    page = as_html(full_report(), Provenance(None, Origin("run 42")))
    assert "<td>not known</td><td>unknown</td>" in page and "<td>run 42</td><td>unknown</td>" in page
    assert "Time between the two: unknown" in page and "Warning" not in page
    assert "Written by" not in as_html(full_report()) and "provenance" not in full_report().to_dict()
